# The reference path is kept in any case: it is the run that all others are compared with.
EXPANSION_PATHS = sorted({"reference", *paths_read("path")})
TABLE_PATHS = sorted({*paths_read("table"), *({"barycentre"} & {*paths_read("path")})})


rule table:
    input:
        corpus=rules.corpus.output.corpus,
        path=rules.reference.output.path,
    output:
        table=f"{RESULTS}/store/reference/table-{{shard}}.h5",
        cost=f"{RESULTS}/costs/table/{{shard}}.json",
    log:
        f"{RESULTS}/logs/table-{{shard}}.log",
    wildcard_constraints:
        shard=r"\d+",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(60),
    params:
        problem=PROBLEM,
        shard=lambda wildcards: int(wildcards.shard),
        shards=config["shards"]["table"],
        key=KEYS["study"],
        code=code("table.py"),
    message:
        "Gradient table along the reference path, shard {wildcards.shard}"
    script:
        "../scripts/table.py"


rule clusters:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
    output:
        clusters=f"{RESULTS}/store/clusters.h5",
        cost=f"{RESULTS}/costs/clusters.json",
    log:
        f"{RESULTS}/logs/clusters.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(20),
    params:
        problem=PROBLEM,
        clusters=config["curvature"]["clusters"],
        pool=config["expansion"]["pool"],
        seed=config["seeds"]["data"],
        key=KEYS["study"],
        code=code("clusters.py"),
    message:
        "Clusters of units and their pools"
    script:
        "../scripts/clusters.py"


rule barycentre:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        clusters=rules.clusters.output.clusters,
    output:
        path=f"{RESULTS}/store/barycentre/path.h5",
        table=f"{RESULTS}/store/barycentre/table-0.h5",
        cost=f"{RESULTS}/costs/barycentre.json",
    log:
        f"{RESULTS}/logs/barycentre.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(120),
    params:
        problem=PROBLEM,
        window=config["window"],
        optimizer=config["optimizer"],
        expansion=config["expansion"],
        key=KEYS["study"],
        work=WORK,
        code=code("barycentre.py"),
    message:
        "Barycentre path and its gradient table"
    script:
        "../scripts/barycentre.py"


rule probes:
    input:
        corpus=rules.corpus.output.corpus,
        clusters=rules.clusters.output.clusters,
        path=f"{RESULTS}/store/{{path}}/path.h5",
        table=lambda wildcards: tables(wildcards.path),
    output:
        probed=f"{RESULTS}/store/{{path}}/probed.h5",
        probes=f"{RESULTS}/store/{{path}}/probes.json",
        cost=f"{RESULTS}/costs/probes/{{path}}.json",
    log:
        f"{RESULTS}/logs/probes-{{path}}.log",
    wildcard_constraints:
        path="reference|barycentre",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(120),
    params:
        problem=PROBLEM,
        window=config["window"],
        optimizer=config["optimizer"],
        curvature=config["curvature"],
        seed=config["seeds"]["order"],
        key=KEYS["study"],
        code=code("probes.py"),
    message:
        "Probing the curvature about the {wildcards.path} path"
    script:
        "../scripts/probes.py"


rule unit_curvature:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        path=f"{RESULTS}/store/{{path}}/path.h5",
        probed=rules.probes.output.probed,
    output:
        responses=f"{RESULTS}/store/{{path}}/units/{{shard}}.h5",
        cost=f"{RESULTS}/costs/unit_curvature/{{path}}/{{shard}}.json",
    log:
        f"{RESULTS}/logs/unit_curvature-{{path}}-{{shard}}.log",
    wildcard_constraints:
        path="reference|barycentre",
        shard=r"\d+",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(60),
    params:
        problem=PROBLEM,
        curvature=config["curvature"],
        seed=config["seeds"]["order"],
        shard=lambda wildcards: int(wildcards.shard),
        shards=config["shards"]["curvature"],
        key=KEYS["study"],
        code=code("unit_curvature.py"),
    message:
        "Curvature of units about the {wildcards.path} path, shard {wildcards.shard}"
    script:
        "../scripts/unit_curvature.py"


rule curvature:
    input:
        warm=rules.warm.output.warm,
        probed=rules.probes.output.probed,
        responses=expand(
            rules.unit_curvature.output.responses,
            shard=UNIT_SHARDS,
            allow_missing=True,
        ),
    output:
        curvature=f"{RESULTS}/store/{{path}}/curvature.h5",
        units=f"{RESULTS}/store/{{path}}/units.json",
        cost=f"{RESULTS}/costs/curvature/{{path}}.json",
    log:
        f"{RESULTS}/logs/curvature-{{path}}.log",
    wildcard_constraints:
        path="reference|barycentre",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(20),
    params:
        key=KEYS["study"],
        code=code("curvature.py"),
    message:
        "Low-rank curvature about the {wildcards.path} path"
    script:
        "../scripts/curvature.py"


rule reduced:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        path=f"{RESULTS}/store/{{path}}/path.h5",
        table=lambda wildcards: tables(wildcards.path),
        curvature=f"{RESULTS}/store/{{path}}/curvature.h5",
    output:
        reduced=f"{RESULTS}/store/{{path}}/reduced.h5",
        cost=f"{RESULTS}/costs/reduced/{{path}}.json",
    log:
        f"{RESULTS}/logs/reduced-{{path}}.log",
    wildcard_constraints:
        path="reference|barycentre",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(60),
    params:
        problem=PROBLEM,
        window=config["window"],
        optimizer=config["optimizer"],
        seed=config["seeds"]["order"],
        readouts=READOUTS,
        key=KEYS["study"],
        code=code("reduced.py"),
    message:
        "Reduced model about the {wildcards.path} path"
    script:
        "../scripts/reduced.py"


rule manifest:
    input:
        paths=expand(f"{RESULTS}/store/{{path}}/path.h5", path=EXPANSION_PATHS),
        tables=[table for path in TABLE_PATHS for table in tables(path)],
        curvature=expand(
            f"{RESULTS}/store/{{path}}/curvature.h5", path=paths_read("curvature")
        ),
        reduced=expand(
            f"{RESULTS}/store/{{path}}/reduced.h5", path=paths_read("reduced")
        ),
    output:
        manifest=f"{RESULTS}/store/manifest.json",
        cost=f"{RESULTS}/costs/manifest.json",
    log:
        f"{RESULTS}/logs/manifest.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(20),
    params:
        key=KEYS["study"],
        code=code("manifest.py"),
    message:
        "Checking and listing the store"
    script:
        "../scripts/manifest.py"
