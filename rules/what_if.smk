# Orders of the user's own, estimated on the finished study; made only when they are named.
import sys


rule what_if:
    input:
        # What a study is opened from, and what its estimators read.
        results=rules.validate.output,
        orders=rules.orders.output.orders,
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        manifest=rules.manifest.output.manifest,
        store=rules.manifest.input,
        custom=lambda wildcards: (
            ORDERS_FILE
            or sys.exit(
                "error: what_if: no orders are named; add --config orders=FILE"
            )
        ),
    output:
        what_if=f"{RESULTS}/what_if.csv",
    log:
        f"{RESULTS}/logs/what_if.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(60),
    params:
        key=KEYS["study"],
        code=code("what_if.py"),
    message:
        "Estimating the orders of {input.custom}"
    script:
        "../scripts/what_if.py"
