rule stores:
    input:
        corpus=rules.corpus.output.corpus,
        warm=settings.run_start,
        orders=rules.orders.output.orders,
        manifest=rules.manifest.output.manifest,
    output:
        stores=f"{RESULTS}/stores.json",
        cost=f"{RESULTS}/costs/stores.json",
    log:
        f"{RESULTS}/logs/stores.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.model_resources(minutes=30),
    params:
        problem=settings.problem,
        window=config["window"],
        optimizer=config["optimizer"],
        residual_size=settings.smallest_corrected_size,
        seed=config["seeds"]["order"],
        study=config["study"],
        key=KEY,
        code=settings.code("stores.py"),
    message:
        "Comparing stores of the gradient table and of residuals"
    script:
        "../scripts/stores.py"
