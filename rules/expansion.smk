rule table:
    input:
        corpus=rules.corpus.output.corpus,
        warm=settings.run_start,
        path=rules.reference.output.path,
    output:
        table=f"{RESULTS}/store/reference/table-{{shard}}.h5",
        cost=f"{RESULTS}/costs/table/{{shard}}.json",
    log:
        f"{RESULTS}/logs/table-{{shard}}.log",
    priority: SECOND
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.model_resources(minutes=60),
    params:
        problem=settings.problem,
        shard=lambda wildcards: int(wildcards.shard),
        shards=config["shards"]["table"],
        key=KEY,
        code=settings.code("table.py"),
    message:
        "Computing the gradient table along the reference path, shard {wildcards.shard}"
    script:
        "../scripts/table.py"


rule residuals:
    input:
        corpus=rules.corpus.output.corpus,
        warm=settings.run_start,
        orders=rules.orders.output.orders,
        path=rules.reference.output.path,
    output:
        residuals=f"{RESULTS}/store/reference/residuals.h5",
        cost=f"{RESULTS}/costs/residuals.json",
    log:
        f"{RESULTS}/logs/residuals.log",
    priority: SECOND
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.model_resources(minutes=60),
    params:
        problem=settings.problem,
        window=config["window"],
        optimizer=config["optimizer"],
        sizes=settings.residual_sizes,
        seed=config["seeds"]["order"],
        key=KEY,
        code=settings.code("residuals.py"),
    message:
        "Measuring the residuals of subsamples along the reference run"
    script:
        "../scripts/residuals.py"


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
        **settings.model_resources(minutes=20),
    params:
        problem=settings.problem,
        clusters=config["curvature"]["clusters"],
        pool=config["expansion"]["pool"],
        seed=config["seeds"]["data"],
        key=KEY,
        code=settings.code("clusters.py"),
    message:
        "Clustering the units"
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
        **settings.model_resources(minutes=120),
    params:
        problem=settings.problem,
        window=config["window"],
        optimizer=config["optimizer"],
        expansion=config["expansion"],
        key=KEY,
        work=settings.work,
        code=settings.code("barycentre.py"),
    message:
        "Computing the barycentre path and its gradient table"
    script:
        "../scripts/barycentre.py"


rule probes:
    input:
        corpus=rules.corpus.output.corpus,
        warm=settings.run_start,
        clusters=rules.clusters.output.clusters,
        path=f"{RESULTS}/store/{{path}}/path.h5",
        table=lambda wildcards: settings.tables(wildcards.path),
        # To select the rank, where the configuration leaves it open:
        spent=settings.costs_before_probing,
        truth=settings.truth_of_levels,
        orders=rules.orders.output.orders,
        summary=rules.corpus.output.summary,
    output:
        probed=f"{RESULTS}/store/{{path}}/probed.h5",
        probes=f"{RESULTS}/store/{{path}}/probes.json",
        cost=f"{RESULTS}/costs/probes/{{path}}.json",
    log:
        f"{RESULTS}/logs/probes-{{path}}.log",
    priority: SECOND
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.model_resources(minutes=120),
    params:
        problem=settings.problem,
        window=config["window"],
        optimizer=config["optimizer"],
        curvature=config["curvature"],
        ladder=config["ladder"],
        reduced_readouts=settings.reduced_readouts,
        validation=settings.validation,
        seed=config["seeds"]["order"],
        averaged_states=config["averaged_states"],
        sketch_rows=config["sketch_rows"],
        study=config["study"],
        key=KEY,
        code=settings.code("probes.py"),
    message:
        "Probing the curvature along the {wildcards.path} path"
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
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.model_resources(minutes=60),
    params:
        problem=settings.problem,
        curvature=config["curvature"],
        seed=config["seeds"]["order"],
        shard=lambda wildcards: int(wildcards.shard),
        shards=config["shards"]["curvature"],
        key=KEY,
        code=settings.code("unit_curvature.py"),
    message:
        "Computing the curvature of units along the {wildcards.path} path, shard {wildcards.shard}"
    script:
        "../scripts/unit_curvature.py"


rule curvature:
    input:
        warm=rules.warm.output.warm,
        probed=rules.probes.output.probed,
        responses=expand(
            rules.unit_curvature.output.responses,
            shard=settings.unit_shards,
            allow_missing=True,
        ),
    output:
        curvature=f"{RESULTS}/store/{{path}}/curvature.h5",
        units=f"{RESULTS}/store/{{path}}/units.json",
        cost=f"{RESULTS}/costs/curvature/{{path}}.json",
    log:
        f"{RESULTS}/logs/curvature-{{path}}.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.resources(megabytes=1500, minutes=20, vectors=True),
    params:
        key=KEY,
        code=settings.code("curvature.py"),
    message:
        "Joining the low-rank curvature along the {wildcards.path} path"
    script:
        "../scripts/curvature.py"


rule reduced:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        path=f"{RESULTS}/store/{{path}}/path.h5",
        table=lambda wildcards: settings.tables(wildcards.path),
        curvature=f"{RESULTS}/store/{{path}}/curvature.h5",
    output:
        reduced=f"{RESULTS}/store/{{path}}/reduced.h5",
        along=f"{RESULTS}/store/{{path}}/reduced_along.h5",
        cost=f"{RESULTS}/costs/reduced/{{path}}.json",
    log:
        f"{RESULTS}/logs/reduced-{{path}}.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.model_resources(minutes=60),
    params:
        problem=settings.problem,
        window=config["window"],
        optimizer=config["optimizer"],
        seed=config["seeds"]["order"],
        readouts=settings.readouts,
        averaged_states=config["averaged_states"],
        key=KEY,
        code=settings.code("reduced.py"),
    message:
        "Building the reduced model of the {wildcards.path} path"
    script:
        "../scripts/reduced.py"


rule effects:
    input:
        corpus=rules.corpus.output.corpus,
        warm=settings.run_start,
        path=f"{RESULTS}/store/{{path}}/path.h5",
        table=lambda wildcards: settings.tables(wildcards.path),
        consumed=settings.consumed,
    output:
        effects=f"{RESULTS}/store/{{path}}/effects.h5",
        cost=f"{RESULTS}/costs/effects/{{path}}.json",
    log:
        f"{RESULTS}/logs/effects-{{path}}.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.model_resources(minutes=60),
    params:
        problem=settings.problem,
        window=config["window"],
        optimizer=config["optimizer"],
        path=lambda wildcards: wildcards.path,
        averaged_states=config["averaged_states"],
        key=KEY,
        code=settings.code("effects.py"),
    message:
        "Computing the effects of units by an adjoint sweep along the {wildcards.path} path"
    script:
        "../scripts/effects.py"


rule manifest:
    input:
        paths=expand(f"{RESULTS}/store/{{path}}/path.h5", path=settings.expansion_paths),
        tables=[
            table for path in settings.table_paths for table in settings.tables(path)
        ],
        residuals=expand(
            f"{RESULTS}/store/{{path}}/residuals.h5",
            path=settings.paths_read("residuals"),
        ),
        known_runs=settings.known_run_files,
        curvature=expand(
            f"{RESULTS}/store/{{path}}/curvature.h5",
            path=settings.paths_read("curvature"),
        ),
        reduced=expand(
            f"{RESULTS}/store/{{path}}/reduced.h5", path=settings.paths_read("reduced")
        ),
        effects=expand(
            f"{RESULTS}/store/{{path}}/effects.h5", path=settings.paths_read("effects")
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
        **settings.resources(megabytes=500, minutes=20),
    params:
        key=KEY,
        code=settings.code("manifest.py"),
    message:
        "Checking the store"
    script:
        "../scripts/manifest.py"
