# The size of `corrected`, where the configuration leaves it open: the smallest one that is trusted.
rule ladder:
    input:
        corpus=rules.corpus.output.corpus,
        summary=rules.corpus.output.summary,
        warm=rules.warm.output.warm,
        orders=rules.orders.output.orders,
        manifest=rules.manifest.output.manifest,
        truth=expand(rules.truth.output.truth, shard=settings.truth_shards),
    output:
        ladder=f"{RESULTS}/ladder.json",
        estimate=f"{RESULTS}/estimates/{settings.open_estimator}/calibration.h5",
        cost=f"{RESULTS}/costs/ladder.json",
    log:
        f"{RESULTS}/logs/ladder.log",
    priority: SECOND
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.model_resources(minutes=120),
    params:
        problem=settings.evaluated_problem,
        window=config["window"],
        optimizer=config["optimizer"],
        estimator=settings.entries[settings.open_estimator],
        ladder=config["ladder"],
        validation=settings.validation,
        seed=config["seeds"]["order"],
        averaged_states=config["averaged_states"],
        sketch_rows=config["sketch_rows"],
        study=config["study"],
        key=KEY,
        code=settings.code("ladder.py", settings.estimators[settings.open_estimator]),
    message:
        f"Selecting the size of {settings.open_estimator}"
    script:
        "../scripts/ladder.py"
