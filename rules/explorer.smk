# One page to move units about in, for studies with a reduced model.
EXPLORER = "reduced@barycentre" in [estimator.name for estimator in ESTIMATORS]


rule explorer:
    input:
        validation=f"{RESULTS}/validation.json",
        truth=f"{RESULTS}/truth.csv",
        estimates=f"{RESULTS}/estimates.csv",
        trajectories=f"{RESULTS}/trajectories.csv",
        costs=f"{RESULTS}/costs.json",
        orders=f"{RESULTS}/orders.json",
        reduced=f"{RESULTS}/store/barycentre/reduced.h5",
        winners=([f"{RESULTS}/curriculum/winners.json"] if config["curriculum"] else []),
    output:
        explorer=report(
            f"{RESULTS}/explorer.html",
            caption="../report/explorer.rst",
            category="Explorer",
            labels={"figure": "Order explorer"},
        ),
    log:
        f"{RESULTS}/logs/explorer.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        key=KEYS["study"],
        code=code("explorer.py"),
    message:
        "Writing the order explorer"
    script:
        "../scripts/explorer.py"
