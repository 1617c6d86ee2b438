# How predictable the training is. Beside the run in the reference order it needs nothing of the
# expansion, so it can run before. It trains the reference again if that is an existing run.
rule predictability:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        orders=rules.orders.output.orders,
        path=[] if config["run"] else rules.reference.output.path,
    output:
        predictability=f"{RESULTS}/predictability.json",
        cost=f"{RESULTS}/costs/predictability.json",
    log:
        f"{RESULTS}/logs/predictability.log",
    priority: FIRST
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.model_resources(minutes=60),
    params:
        problem=settings.problem,
        window=config["window"],
        optimizer=config["optimizer"],
        confidence=config["validation"]["confidence"],
        seed=config["seeds"]["order"],
        study=config["study"],
        checkpoint_every=config["checkpoint_every"],
        key=KEY,
        work=settings.work,
        code=settings.code("predictability.py"),
    message:
        "Training from perturbed starts, to measure predictability"
    script:
        "../scripts/predictability.py"
