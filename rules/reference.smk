from trainorder.config.sections import orders_config

# A model may also be a hub name, which is no file to depend on.
GIVEN_MODEL = PACKAGED_MODEL or (
    sorted(str(path) for path in Path(config["model"]["source"]).glob("*.*"))
    if config["model"]["source"] and os.path.isdir(config["model"]["source"])
    else []
)
# An existing run is read, and nothing trained.
WARM, REFERENCE = (
    ("run_start.py", "run_path.py") if config["run"] else ("warm.py", "reference.py")
)


rule warm:
    input:
        corpus=rules.corpus.output.corpus,
        model=GIVEN_MODEL,
        run=RUN[:2],
    output:
        warm=f"{RESULTS}/store/warm.h5",
        cost=f"{RESULTS}/costs/warm.json",
    log:
        f"{RESULTS}/logs/warm.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(60),
    params:
        problem=PROBLEM,
        window=config["window"],
        optimizer=config["optimizer"],
        checkpoint_every=config["checkpoint_every"],
        run=config["run"],
        key=KEYS["study"],
        work=WORK,
        code=code(WARM),
    message:
        "Reading the run's first checkpoint" if config["run"] else "Warm-up training"
    script:
        f"../scripts/{WARM}"


rule orders:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        custom=config["orders"]["custom"] or [],
        reference=config["run"]["order"] if config["run"] else [],
    output:
        orders=f"{RESULTS}/orders.json",
        cost=f"{RESULTS}/costs/orders.json",
    log:
        f"{RESULTS}/logs/orders.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(10),
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
        run=RUN,
    output:
        path=f"{RESULTS}/store/reference/path.h5",
        cost=f"{RESULTS}/costs/reference.json",
    log:
        f"{RESULTS}/logs/reference.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(60),
    params:
        problem=PROBLEM,
        window=config["window"],
        optimizer=config["optimizer"],
        anchors=REFERENCE_ANCHORS,
        run=config["run"],
        key=KEYS["study"],
        work=WORK,
        code=code(REFERENCE),
    message:
        (
            "Reading the reference path from the run's checkpoints"
            if config["run"]
            else "Training the window in the reference order"
        )
    script:
        f"../scripts/{REFERENCE}"
