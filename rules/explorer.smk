# The page in which readers move units, for studies with a reduced model.
rule explorer:
    input:
        **RESULT_FILES,
        reduced=f"{RESULTS}/store/barycentre/reduced.h5",
        winners=[rules.curriculum.output.winners] if config["curriculum"] else [],
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
        **settings.resources(megabytes=1000, minutes=20),
    params:
        key=KEY,
        code=settings.code("explorer.py"),
    message:
        "Writing the order explorer"
    script:
        "../scripts/explorer.py"
