ENTRIES = {EstimatorConfig(**entry).name: entry for entry in config["estimators"]}
SHARDS = {e.name: e.shards(config["shards"]["estimate"]) for e in ESTIMATORS}


rule estimate:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        orders=rules.orders.output.orders,
        manifest=rules.manifest.output.manifest,
    output:
        estimate=f"{RESULTS}/estimates/{{estimator}}/{{shard}}.h5",
        cost=f"{RESULTS}/costs/estimate/{{estimator}}/{{shard}}.json",
    log:
        f"{RESULTS}/logs/estimate-{{estimator}}-{{shard}}.log",
    wildcard_constraints:
        estimator=names(lambda e: e.method != "reduced"),
        shard=r"\d+",
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
        estimator=lambda wildcards: ENTRIES[wildcards.estimator],
        seed=config["seeds"]["order"],
        trajectories=config["trajectories"],
        sketch_rows=config["sketch_rows"],
        shard=lambda wildcards: int(wildcards.shard),
        shards=lambda wildcards: SHARDS[wildcards.estimator],
        key=KEYS["study"],
        code=code("estimate.py"),
    message:
        "Estimating with {wildcards.estimator}, shard {wildcards.shard}"
    script:
        "../scripts/estimate.py"


rule predict:
    input:
        orders=rules.orders.output.orders,
        reduced=lambda wildcards: (
            f"{RESULTS}/store/{wildcards.estimator.split('@')[1]}/reduced.h5"
        ),
    output:
        estimate=f"{RESULTS}/estimates/{{estimator}}/0.h5",
        cost=f"{RESULTS}/costs/estimate/{{estimator}}/0.json",
    log:
        f"{RESULTS}/logs/predict-{{estimator}}.log",
    wildcard_constraints:
        estimator=names(lambda e: e.method == "reduced"),
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        estimator=lambda wildcards: ENTRIES[wildcards.estimator],
        threads=config["threads"],
        sketch_rows=config["sketch_rows"],
        key=KEYS["study"],
        code=code("predict.py"),
    message:
        "Estimating with {wildcards.estimator}"
    script:
        "../scripts/predict.py"
