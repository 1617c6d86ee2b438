# Stores are compared with the gradient table of the reference path, where the study has one.
STORES = "reference" in TABLE_PATHS


rule stores:
    input:
        corpus=rules.corpus.output.corpus,
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
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(30),
    params:
        problem=PROBLEM,
        window=config["window"],
        optimizer=config["optimizer"],
        study=config["study"],
        key=KEYS["study"],
        code=code("stores.py"),
    message:
        "Comparing ways to keep the gradient table"
    script:
        "../scripts/stores.py"
