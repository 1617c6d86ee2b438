from trainorder.config.methods import CURVATURE_METHODS, TABLE_METHODS

ESTIMATE_SHARDS = [
    f"{estimator.name}/{shard}"
    for estimator in ALL_ESTIMATORS
    for shard in range(estimator.shards(config["shards"]["estimate"]))
]
PATHS = {estimator.path for estimator in ESTIMATORS}
TABLES = [
    estimator
    for estimator in ESTIMATORS
    if estimator.path == "reference"
    and estimator.method in (*TABLE_METHODS, *CURVATURE_METHODS)
]
# The jobs that truth and estimates rest on.
COSTED = [
    *["corpus", "warm", "orders", "reference", "manifest"],
    *(["barycentre"] if "barycentre" in PATHS else []),
    *(["clusters"] if "barycentre" in PATHS or paths_read("curvature") else []),
    *[
        f"{stage}/{path}"
        for stage in ("probes", "curvature")
        for path in paths_read("curvature")
    ],
    *[
        f"unit_curvature/{path}/{shard}"
        for path in paths_read("curvature")
        for shard in UNIT_SHARDS
    ],
    *[f"reduced/{path}" for path in paths_read("reduced")],
    *[f"table/{shard}" for shard in range(config["shards"]["table"]) if TABLES],
    *[f"truth/{shard}" for shard in TRUTH_SHARDS],
    *[f"estimate/{shard}" for shard in ESTIMATE_SHARDS],
    *(["proxy_warm"] if "proxy" in ENTRIES else []),
    *[f"proxy_orders/{shard}" for shard in TRUTH_SHARDS if "proxy" in ENTRIES],
]


rule validate:
    input:
        orders=f"{RESULTS}/orders.json",
        corpus=f"{RESULTS}/corpus.json",
        warm=f"{RESULTS}/store/warm.h5",
        manifest=f"{RESULTS}/store/manifest.json",
        truth=expand(f"{RESULTS}/truth/{{shard}}.h5", shard=TRUTH_SHARDS),
        estimates=expand(f"{RESULTS}/estimates/{{shard}}.h5", shard=ESTIMATE_SHARDS),
        costs=expand(f"{RESULTS}/costs/{{job}}.json", job=COSTED),
    output:
        truth=f"{RESULTS}/truth.csv",
        truth_losses=f"{RESULTS}/truth_losses.csv",
        estimates=f"{RESULTS}/estimates.csv",
        trajectories=f"{RESULTS}/trajectories.csv",
        validation=f"{RESULTS}/validation.json",
        costs=f"{RESULTS}/costs.json",
    log:
        f"{RESULTS}/logs/validate.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        code=code("validate.py"),
        key=KEYS["study"],
        estimators=config["estimators"],
        validation=config["validation"],
        seed=config["seeds"]["order"],
        # Whole: validation.json records the configuration that its numbers were made with.
        config=config,
    message:
        "Comparing estimates with truth"
    script:
        "../scripts/validate.py"
