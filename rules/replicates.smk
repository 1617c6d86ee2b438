# The search again with other seeds, schedules and rates: each replicate is its own module.
for number, replicate in enumerate(settings.replicates, start=1):
    MODULE = f"r{number}_"

    module:
        name: MODULE
        snakefile:
            "../Snakefile"
        config:
            replicate

    use rule * from MODULE exclude fetch, pretrained as MODULE*


rule replicates:
    input:
        curricula=[f"{study}/curriculum.json" for study in settings.replicated],
        memorization=[
            f"{study}/memorization.json"
            for study in settings.replicated
            if config["memorization"]
        ],
    output:
        replicates=f"{RESULTS}/replicates.json",
    log:
        f"{RESULTS}/logs/replicates.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **settings.resources(megabytes=500, minutes=10),
    params:
        validation=config["validation"],
        code=settings.code("replicates.py"),
    message:
        "Joining the replicates of the search"
    script:
        "../scripts/replicates.py"
