# Estimates of the user's own orders on the finished study; it runs only on request.
rule what_if:
    input:
        # The files that `Study` and its estimators read.
        results=rules.validate.output,
        ladder=rules.ladder.output.ladder if settings.open_estimator else [],
        orders=rules.orders.output.orders,
        corpus=rules.corpus.output.corpus,
        warm=rules.warm.output.warm,
        manifest=rules.manifest.output.manifest,
        store=rules.manifest.input,
        custom=settings.orders_file,
    output:
        what_if=f"{RESULTS}/what_if.csv",
    log:
        f"{RESULTS}/logs/what_if.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.model_resources(minutes=60),
    params:
        key=KEY,
        code=settings.code("what_if.py", *settings.replaying),
    message:
        "Estimating the orders in {input.custom}"
    script:
        "../scripts/what_if.py"
