# One archive of the result files; it runs only on request.
rule bundle:
    input:
        validation=rules.validate.output.validation,
        results=rules.all.input,
    output:
        bundle=f"{RESULTS}/{config['study']}.tar.gz",
    log:
        f"{RESULTS}/logs/bundle.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **settings.resources(megabytes=500, minutes=10),
    params:
        code=settings.code("bundle.py"),
    message:
        "Packing the result files"
    script:
        "../scripts/bundle.py"
