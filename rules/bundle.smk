# One archive of the result files; made only when asked for.
rule bundle:
    input:
        validation=f"{RESULTS}/validation.json",
        results=rules.all.input,
    output:
        bundle=f"{RESULTS}/{config['study']}.tar.gz",
    log:
        f"{RESULTS}/logs/bundle.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
    params:
        code=code("bundle.py"),
    message:
        "Packing the result files"
    script:
        "../scripts/bundle.py"
