# True retraining. Rules that retrain other orders, or another model, change only what differs.
rule truth:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        orders=rules.orders.output.orders,
        path=settings.reference_path,
        residuals=settings.recorded_subsamples,
    output:
        truth=f"{RESULTS}/truth/{{shard}}.h5",
        known_runs=(
            f"{RESULTS}/store/reference/known_runs-{{shard}}.h5"
            if settings.known_runs
            else []
        ),
        cost=f"{RESULTS}/costs/truth/{{shard}}.json",
    log:
        f"{RESULTS}/logs/truth-{{shard}}.log",
    priority: SECOND
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.model_resources(minutes=120),
    params:
        problem=settings.evaluated_problem,
        start="warm",
        bounds=None,  # how many orders of each split to retrain at most; None: all
        window=config["window"],
        optimizer=config["optimizer"],
        known_runs=settings.known_runs,
        trajectories=config["trajectories"],
        stepwise_losses=config["stepwise_losses"],
        readouts=settings.readouts,
        averaged_states=config["averaged_states"],
        sketch_rows=config["sketch_rows"],
        checkpoint_every=config["checkpoint_every"],
        shard=lambda wildcards: int(wildcards.shard),
        shards=len(settings.truth_shards),
        key=KEY,
        work=settings.work,
        code=settings.code("truth.py"),
    message:
        "Retraining for the truth, shard {wildcards.shard}"
    script:
        "../scripts/truth.py"
