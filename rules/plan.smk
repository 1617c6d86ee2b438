# What the study will cost; made only when asked for, from the configuration and the packaged model.
import shutil


rule plan:
    input:
        model=PACKAGED_MODEL,  # its tokenizer and its size
    output:
        plan=f"{RESULTS}/plan.json",
    log:
        f"{RESULTS}/logs/plan.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(10),
    params:
        config=config,
        replicates=[replicate(entry) for entry in REPLICATES],
        # On a cluster there is no such number.
        cores=workflow.resource_settings.cores or os.cpu_count(),
        # It is another plan whenever the disk has changed: asking again makes it again.
        free=shutil.disk_usage(".").free,
        code=code("plan.py"),
    message:
        "Planning the study"
    script:
        "../scripts/plan.py"
