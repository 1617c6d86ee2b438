rule truth:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        orders=rules.orders.output.orders,
    output:
        truth=f"{RESULTS}/truth/{{shard}}.h5",
        cost=f"{RESULTS}/costs/truth/{{shard}}.json",
    log:
        f"{RESULTS}/logs/truth-{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/truth-{{shard}}.tsv"
    wildcard_constraints:
        shard=r"\d+",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        mem_mb=1500,
        runtime=120,
    params:
        problem=PROBLEM,
        start="warm",
        window=config["window"],
        optimizer=config["optimizer"],
        trajectories=config["trajectories"],
        sketch_rows=config["sketch_rows"],
        checkpoint_every=config["checkpoint_every"],
        shard=lambda wildcards: int(wildcards.shard),
        shards=config["shards"]["truth"],
        key=KEYS["study"],
        work=WORK,
        code=code("truth.py"),
    message:
        "Retraining for the truth, shard {wildcards.shard}"
    script:
        "../scripts/truth.py"
