# The planned costs of the study. It runs only on request, before all other rules.
import shutil


rule plan:
    input:
        model=settings.packaged_model,  # for its size and its tokenizer
    output:
        plan=f"{RESULTS}/plan.json",
    log:
        f"{RESULTS}/logs/plan.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **settings.model_resources(minutes=10),
    params:
        config=config,
        replicates=settings.replicates,
        # On a cluster the number is not known.
        cores=workflow.resource_settings.cores or os.cpu_count(),
        # The plan is made again when the free space has changed.
        free=shutil.disk_usage(".").free,
        # Or when predictability has been measured.
        predictability=settings.measured_predictability,
        code=settings.code("plan.py"),
        methods=settings.descriptors,
    message:
        "Planning the study"
    script:
        "../scripts/plan.py"
