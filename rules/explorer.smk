# The page in which readers move units, for studies with a reduced model.
rule explorer:
    input:
        **RESULT_FILES,
        along=f"{RESULTS}/store/barycentre/reduced_along.h5",
        curvature=f"{RESULTS}/store/barycentre/curvature.h5",
        candidates=CANDIDATES if config["curriculum"] else [],
        candidate_truth=expand(
            rules.candidate_truth.output.truth,
            shard=settings.candidate_shards if config["curriculum"] else [],
        ),
        maps=rules.memorization.output if config["memorization"] else [],
    output:
        explorer=f"{RESULTS}/explorer.html",
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
