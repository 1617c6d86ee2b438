from trainorder.config import orders_config

# A model may also be a hub name, which is no file to depend on.
GIVEN_MODEL = PACKAGED_MODEL or (
    sorted(str(path) for path in Path(config["model"]["source"]).glob("*.*"))
    if config["model"]["source"] and Path(config["model"]["source"]).is_dir()
    else []
)


rule warm:
    input:
        corpus=rules.corpus.output.corpus,
        model=GIVEN_MODEL,
    output:
        warm=f"{RESULTS}/store/warm.h5",
        cost=f"{RESULTS}/costs/warm.json",
    log:
        f"{RESULTS}/logs/warm.log",
    benchmark:
        f"{RESULTS}/benchmarks/warm.tsv"
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory(1500),
        runtime=60,
    params:
        problem=PROBLEM,
        window=config["window"],
        optimizer=config["optimizer"],
        checkpoint_every=config["checkpoint_every"],
        key=KEYS["study"],
        work=WORK,
        code=code("warm.py"),
    message:
        "Warm-up training"
    script:
        "../scripts/warm.py"


rule orders:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        custom=config["orders"]["custom"] or [],
    output:
        orders=f"{RESULTS}/orders.json",
        cost=f"{RESULTS}/costs/orders.json",
    log:
        f"{RESULTS}/logs/orders.log",
    benchmark:
        f"{RESULTS}/benchmarks/orders.tsv"
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory(1500),
        runtime=10,
    params:
        problem=PROBLEM,
        window=config["window"],
        orders=orders_config(config["orders"], config["estimators"]),
        seed=config["seeds"]["order"],
        study=config["study"],
        key=KEYS["study"],
        code=code("orders.py"),
    message:
        "Making the orders"
    script:
        "../scripts/orders.py"


rule reference:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        orders=rules.orders.output.orders,
    output:
        path=f"{RESULTS}/store/reference/path.h5",
        cost=f"{RESULTS}/costs/reference.json",
    log:
        f"{RESULTS}/logs/reference.log",
    benchmark:
        f"{RESULTS}/benchmarks/reference.tsv"
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        mem_mb=memory(1500),
        runtime=60,
    params:
        problem=PROBLEM,
        window=config["window"],
        optimizer=config["optimizer"],
        anchors=REFERENCE_ANCHORS,
        key=KEYS["study"],
        work=WORK,
        code=code("reference.py"),
    message:
        "Training the window in the reference order"
    script:
        "../scripts/reference.py"
