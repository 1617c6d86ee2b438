# What a unit's position does: estimated for all positions, retrained for a sample of them.
MAPS_METHOD, MAPS_PATH = (
    config["memorization"]["estimator"].split("@")
    if config["memorization"]
    else (None, None)
)
POSITION_SHARDS = range(config["shards"]["truth"])


rule positions:
    input:
        orders=rules.orders.output.orders,
    output:
        positions=f"{RESULTS}/memorization/positions.json",
    log:
        f"{RESULTS}/logs/positions.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
    params:
        retrained=config["memorization"] and config["memorization"]["retrained"],
        seed=config["seeds"]["order"],
        code=code("positions.py"),
    message:
        "Drawing the positions of units that are retrained"
    script:
        "../scripts/positions.py"


use rule truth as position_truth with:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        orders=rules.positions.output.positions,
        path=run_path,
    output:
        truth=f"{RESULTS}/memorization/truth/{{shard}}.h5",
        cost=f"{RESULTS}/costs/position_truth/{{shard}}.json",
    log:
        f"{RESULTS}/logs/position_truth-{{shard}}.log",
    params:
        **{**TRUTH, "readouts": 1},
        shards=len(POSITION_SHARDS),
        trajectories=0,
    message:
        "Retraining positions of units, shard {wildcards.shard}"


rule position_maps:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        orders=rules.orders.output.orders,
        reduced=f"{RESULTS}/store/{MAPS_PATH}/reduced.h5",
        manifest=rules.manifest.output.manifest,
    output:
        maps=f"{RESULTS}/memorization/estimated.h5",
        cost=f"{RESULTS}/costs/position_maps.json",
    log:
        f"{RESULTS}/logs/position_maps.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **({} if MAPS_METHOD == "reduced" else GPU),
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(60),
    params:
        problem=PROBLEM,
        window=config["window"],
        optimizer=config["optimizer"],
        estimator=config["memorization"] and config["memorization"]["estimator"],
        seed=config["seeds"]["order"],
        key=KEYS["study"],
        code=code("position_maps.py"),
    message:
        "Estimating all positions of all units"
    script:
        "../scripts/position_maps.py"


rule memorization:
    input:
        orders=rules.orders.output.orders,
        validation=f"{RESULTS}/validation.json",
        positions=rules.positions.output.positions,
        maps=rules.position_maps.output.maps,
        truth=expand(
            f"{RESULTS}/memorization/truth/{{shard}}.h5", shard=POSITION_SHARDS
        ),
    output:
        memorization=f"{RESULTS}/memorization.json",
        maps=f"{RESULTS}/memorization.h5",
    log:
        f"{RESULTS}/logs/memorization.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        validation=config["validation"],
        seed=config["seeds"]["order"],
        key=KEYS["study"],
        code=code("memorization.py"),
    message:
        "Comparing maps of positions with their truth"
    script:
        "../scripts/memorization.py"
