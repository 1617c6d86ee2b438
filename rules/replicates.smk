# The search again in studies of other seeds, schedules and rates: each is a module of its own.
REPLICATES = config["curriculum"]["replicates"] if config["curriculum"] else []

STUDIES = [config["study"]]
for entry in REPLICATES:
    REPLICATE = replicate(entry)
    STUDIES.append(REPLICATE["study"])
    MODULE = f"r{len(STUDIES) - 1}_"

    module:
        name: MODULE
        snakefile:
            "../Snakefile"
        config:
            REPLICATE

    use rule * from MODULE exclude fetch, pretrained as MODULE*


rule replicates:
    input:
        curricula=[f"results/{study}/curriculum.json" for study in STUDIES],
        memorization=[
            f"results/{study}/memorization.json"
            for study in STUDIES
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
        mem_mb=memory(500),
        runtime=minutes(10),
    params:
        validation=config["validation"],
        code=code("replicates.py"),
    message:
        "Joining the replicates of the search"
    script:
        "../scripts/replicates.py"
