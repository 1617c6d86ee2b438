# How predictable the training is. It needs nothing of the expansion, so it can run before.
rule predictability:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        orders=rules.orders.output.orders,
    output:
        predictability=f"{RESULTS}/predictability.json",
        cost=f"{RESULTS}/costs/predictability.json",
    log:
        f"{RESULTS}/logs/predictability.log",
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
        key=KEY,
        code=settings.code("predictability.py"),
    message:
        "Training from perturbed starts, to measure predictability"
    script:
        "../scripts/predictability.py"
