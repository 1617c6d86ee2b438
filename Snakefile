# The study, from text to figures: corpus -> reference -> expansion -> estimates, truth -> validation -> figures.
from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/corpus.smk"
include: "rules/reference.smk"
include: "rules/expansion.smk"
include: "rules/estimate.smk"
include: "rules/truth.smk"
include: "rules/baselines.smk"
include: "rules/stores.smk"
include: "rules/validate.smk"
include: "rules/figures.smk"


rule all:
    default_target: True
    input:
        rules.validate.output,
        rules.figures.output,
