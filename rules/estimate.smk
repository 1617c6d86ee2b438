rule estimate:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        orders=rules.orders.output.orders,
        manifest=rules.manifest.output.manifest,
        ladder=settings.ladder_file,
    output:
        estimate=f"{RESULTS}/estimates/{{estimator}}/{{shard}}.h5",
        cost=f"{RESULTS}/costs/estimate/{{estimator}}/{{shard}}.json",
    log:
        f"{RESULTS}/logs/estimate-{{estimator}}-{{shard}}.log",
    wildcard_constraints:
        estimator=settings.estimator_pattern("estimate"),
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
        estimator=lambda wildcards: settings.entries[wildcards.estimator],
        seed=config["seeds"]["order"],
        trajectories=config["trajectories"],
        stepwise_losses=config["stepwise_losses"],
        averaged_states=config["averaged_states"],
        sketch_rows=config["sketch_rows"],
        shard=lambda wildcards: int(wildcards.shard),
        shards=lambda wildcards: settings.estimate_shards(wildcards.estimator),
        key=KEY,
        code=lambda wildcards: settings.code(
            "estimate.py", settings.estimators[wildcards.estimator]
        ),
    message:
        "Estimating with {wildcards.estimator}, shard {wildcards.shard}"
    script:
        "../scripts/estimate.py"


rule predict:
    input:
        orders=rules.orders.output.orders,
        predictor=settings.predictor,
    output:
        estimate=f"{RESULTS}/estimates/{{estimator}}/0.h5",
        cost=f"{RESULTS}/costs/estimate/{{estimator}}/0.json",
    log:
        f"{RESULTS}/logs/predict-{{estimator}}.log",
    wildcard_constraints:
        estimator=settings.estimator_pattern("predict"),
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.resources(megabytes=1000, minutes=20),
    params:
        estimator=lambda wildcards: settings.entries[wildcards.estimator],
        threads=config["threads"],
        multiple_choice=config["multiple_choice"],
        sketch_rows=config["sketch_rows"],
        key=KEY,
        code=lambda wildcards: settings.code(
            "predict.py", settings.estimators[wildcards.estimator]
        ),
    message:
        "Estimating with {wildcards.estimator}"
    script:
        "../scripts/predict.py"
