# A study, from text to figures: corpus -> reference -> expansion -> estimates, truth -> validation -> figures.
import os

from snakemake.utils import min_version

min_version("9.0")


# The defaults are merged below it (rules/common.smk), so it may be missing or lack keys.
if os.path.exists("config.yaml"):

    configfile: "config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/pretrained.smk"
include: "rules/corpus.smk"
include: "rules/reference.smk"
include: "rules/predictability.smk"
include: "rules/truth.smk"
include: "rules/expansion.smk"
include: "rules/estimate.smk"


if settings.open_estimator:

    include: "rules/ladder.smk"


include: "rules/baselines.smk"
include: "rules/stores.smk"
include: "rules/validate.smk"
include: "rules/curriculum.smk"
include: "rules/memorization.smk"
include: "rules/replicates.smk"
include: "rules/explorer.smk"
include: "rules/what_if.smk"
include: "rules/figures.smk"
include: "rules/report_page.smk"


onstart:
    with one_line_errors():
        settings.check_writable()


rule all:
    default_target: True
    input:
        rules.validate.output,
        rules.curriculum.output if config["curriculum"] else [],
        rules.replicates.output if settings.replicates else [],
        rules.memorization.output if config["memorization"] else [],
        rules.explorer.output if settings.has_explorer else [],
        rules.what_if.output if settings.invocation.orders_file else [],
        rules.figures.output,
        rules.report_page.output,


include: "rules/bundle.smk"
include: "rules/plan.smk"
