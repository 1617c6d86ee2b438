# The effect of a unit's position: estimated for all positions, retrained for a sample of them.
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
        **settings.resources(megabytes=500, minutes=10),
    params:
        retrained=config["memorization"] and config["memorization"]["retrained"],
        seed=config["seeds"]["order"],
        code=settings.code("positions.py"),
    message:
        "Sampling the positions to retrain"
    script:
        "../scripts/positions.py"


use rule truth as position_truth with:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        orders=rules.positions.output.positions,
        path=settings.reference_path,
    output:
        truth=f"{RESULTS}/memorization/truth/{{shard}}.h5",
        cost=f"{RESULTS}/costs/position_truth/{{shard}}.json",
    log:
        f"{RESULTS}/logs/position_truth-{{shard}}.log",
    priority: 0
    params:
        problem=settings.problem,
        shards=len(settings.position_shards),
        trajectories=0,
        known_runs=0,
        readouts=1,
        averaged_states=None,  # maps are those of the last weights
    message:
        "Retraining positions of units, shard {wildcards.shard}"


rule position_maps:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        orders=rules.orders.output.orders,
        reduced=settings.maps_predictor,
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
        **settings.resources(
            megabytes=1500,
            minutes=60,
            vectors=True,
            device=settings.maps_rule != "predict",
        ),
    params:
        problem=settings.problem,
        window=config["window"],
        optimizer=config["optimizer"],
        estimator=config["memorization"] and config["memorization"]["estimator"],
        seed=config["seeds"]["order"],
        key=KEY,
        code=settings.code(
            "position_maps.py", *([settings.maps] if settings.maps else [])
        ),
    message:
        "Estimating all positions of all units"
    script:
        "../scripts/position_maps.py"


rule memorization:
    input:
        orders=rules.orders.output.orders,
        validation=rules.validate.output.validation,
        positions=rules.positions.output.positions,
        maps=rules.position_maps.output.maps,
        truth=expand(rules.position_truth.output.truth, shard=settings.position_shards),
    output:
        memorization=f"{RESULTS}/memorization.json",
        maps=f"{RESULTS}/memorization.h5",
    log:
        f"{RESULTS}/logs/memorization.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **settings.resources(megabytes=1000, minutes=20),
    params:
        validation=config["validation"],
        seed=config["seeds"]["order"],
        key=KEY,
        code=settings.code("memorization.py"),
    message:
        "Comparing maps of positions with the truth"
    script:
        "../scripts/memorization.py"
