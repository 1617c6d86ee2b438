# What real training is told, whatever the orders.
TRUTH = {
    "problem": PROBLEM,
    "start": "warm",
    "bounds": None,
    "window": config["window"],
    "optimizer": config["optimizer"],
    "readouts": READOUTS,
    "sketch_rows": config["sketch_rows"],
    "checkpoint_every": config["checkpoint_every"],
    "shard": lambda wildcards: int(wildcards.shard),
    "key": KEYS["study"],
    "work": WORK,
    "code": code("truth.py"),
}


rule truth:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        orders=rules.orders.output.orders,
        path=run_path,
    output:
        truth=f"{RESULTS}/truth/{{shard}}.h5",
        cost=f"{RESULTS}/costs/truth/{{shard}}.json",
    log:
        f"{RESULTS}/logs/truth-{{shard}}.log",
    wildcard_constraints:
        shard=r"\d+",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(120),
    params:
        **TRUTH,
        trajectories=config["trajectories"],
        shards=config["shards"]["truth"],
    message:
        "Retraining for the truth, shard {wildcards.shard}"
    script:
        "../scripts/truth.py"
