# With an existing run, its checkpoints are read. Only states between them are trained.
WARM, REFERENCE = (
    ("existing_run_start.py", "existing_run_path.py")
    if config["run"]
    else ("warm.py", "reference.py")
)


rule warm:
    input:
        corpus=rules.corpus.output.corpus,
        model=settings.model_files,
        run=settings.run_start_files,
        order=settings.run_order,
    output:
        warm=f"{RESULTS}/store/warm.h5",
        cost=f"{RESULTS}/costs/warm.json",
    log:
        f"{RESULTS}/logs/warm.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.model_resources(minutes=60),
    params:
        problem=settings.problem,
        window=config["window"],
        optimizer=config["optimizer"],
        checkpoint_every=config["checkpoint_every"],
        run=config["run"],
        key=KEY,
        work=settings.work,
        code=settings.code(WARM),
    message:
        "Reading the first checkpoint of the run"
        if config["run"]
        else "Warm-up training"
    script:
        f"../scripts/{WARM}"


rule orders:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        custom=settings.custom_orders,
        reference=settings.run_order,
    output:
        orders=f"{RESULTS}/orders.json",
        cost=f"{RESULTS}/costs/orders.json",
    log:
        f"{RESULTS}/logs/orders.log",
    priority: FIRST
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.model_resources(minutes=10),
    params:
        problem=settings.problem,
        window=config["window"],
        orders=settings.orders,
        run=config["run"],
        seed=config["seeds"]["order"],
        study=config["study"],
        key=KEY,
        code=settings.code("orders.py"),
    message:
        "Generating the orders"
    script:
        "../scripts/orders.py"


rule reference:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        orders=rules.orders.output.orders,
        run=settings.run_files,
    output:
        path=f"{RESULTS}/store/reference/path.h5",
        verification=(
            f"{RESULTS}/store/reference/verification.json" if config["run"] else []
        ),
        cost=f"{RESULTS}/costs/reference.json",
    log:
        f"{RESULTS}/logs/reference.log",
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
        anchors=settings.reference_anchors,
        run=config["run"],
        key=KEY,
        work=settings.work,
        code=settings.code(REFERENCE),
    message:
        (
            "Following the run from checkpoint to checkpoint"
            if config["run"]
            else "Training in the reference order"
        )
    script:
        f"../scripts/{REFERENCE}"
