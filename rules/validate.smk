rule validate:
    input:
        orders=rules.orders.output.orders,
        corpus=rules.corpus.output.summary,
        warm=rules.warm.output.warm,
        predictability=rules.predictability.output.predictability,
        verification=rules.reference.output.verification,
        manifest=rules.manifest.output.manifest,
        truth=expand(rules.truth.output.truth, shard=settings.truth_shards),
        estimates=settings.estimate_files,
        costs=settings.cost_files,
    output:
        truth=f"{RESULTS}/truth.csv",
        truth_losses=f"{RESULTS}/truth_losses.csv",
        estimates=f"{RESULTS}/estimates.csv",
        trajectories=f"{RESULTS}/trajectories.csv",
        stepwise=(f"{RESULTS}/stepwise_losses.csv" if config["stepwise_losses"] else []),
        validation=f"{RESULTS}/validation.json",
        costs=f"{RESULTS}/costs.json",
    log:
        f"{RESULTS}/logs/validate.log",
    priority: SECOND
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **settings.resources(megabytes=1000, minutes=20),
    params:
        code=settings.code("validate.py"),
        methods=settings.descriptors,
        key=KEY,
        estimators=config["estimators"],
        validation=config["validation"],
        seed=config["seeds"]["order"],
        # validation.json records the whole configuration.
        config=config,
    message:
        "Comparing estimates with truth"
    script:
        "../scripts/validate.py"


# Files that the figures and the explorer read in every study.
RESULT_FILES = {
    "validation": rules.validate.output.validation,
    "truth": rules.validate.output.truth,
    "estimates": rules.validate.output.estimates,
    "trajectories": rules.validate.output.trajectories,
    "costs": rules.validate.output.costs,
    "orders": rules.orders.output.orders,
}
