from trainorder.config import TABLE_METHODS

# The files of the store that the configured estimators expand about.
EXPANSION_PATHS = sorted({"reference", *(estimator.path for estimator in ESTIMATORS)})
TABLE_PATHS = sorted(
    {estimator.path for estimator in ESTIMATORS if estimator.method in TABLE_METHODS}
    | {path for path in EXPANSION_PATHS if path == "barycentre"}
)


rule table:
    input:
        corpus=rules.corpus.output.corpus,
        path=rules.reference.output.path,
    output:
        table=f"{RESULTS}/store/reference/table-{{shard}}.h5",
        cost=f"{RESULTS}/costs/table/{{shard}}.json",
    log:
        f"{RESULTS}/logs/table-{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/table-{{shard}}.tsv"
    wildcard_constraints:
        shard=r"\d+",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        problem=PROBLEM,
        window=config["window"],
        anchors=config["expansion"]["anchors"],
        shard=lambda wildcards: int(wildcards.shard),
        shards=config["shards"]["table"],
        key=KEYS["study"],
        code=code("table.py"),
    message:
        "Gradient table along the reference path, shard {wildcards.shard}"
    script:
        "../scripts/table.py"


rule barycentre:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
    output:
        path=f"{RESULTS}/store/barycentre/path.h5",
        table=expand(
            f"{RESULTS}/store/barycentre/table-{{shard}}.h5", shard=TABLE_SHARDS
        ),
        cost=f"{RESULTS}/costs/barycentre.json",
    log:
        f"{RESULTS}/logs/barycentre.log",
    benchmark:
        f"{RESULTS}/benchmarks/barycentre.tsv"
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        mem_mb=1500,
        runtime=120,
    params:
        problem=PROBLEM,
        window=config["window"],
        optimizer=config["optimizer"],
        anchors=config["expansion"]["anchors"],
        shards=config["shards"]["table"],
        key=KEYS["study"],
        work=WORK,
        code=code("barycentre.py"),
    message:
        "Barycentre path and its gradient table"
    script:
        "../scripts/barycentre.py"


rule manifest:
    input:
        paths=expand(f"{RESULTS}/store/{{path}}/path.h5", path=EXPANSION_PATHS),
        tables=expand(
            f"{RESULTS}/store/{{path}}/table-{{shard}}.h5",
            path=TABLE_PATHS,
            shard=TABLE_SHARDS,
        ),
    output:
        manifest=f"{RESULTS}/store/manifest.json",
        cost=f"{RESULTS}/costs/manifest.json",
    log:
        f"{RESULTS}/logs/manifest.log",
    benchmark:
        f"{RESULTS}/benchmarks/manifest.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=20,
    params:
        key=KEYS["study"],
        code=code("manifest.py"),
    message:
        "Checking and listing the store"
    script:
        "../scripts/manifest.py"
