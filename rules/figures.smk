# Further result files, in studies that have them.
FURTHER = []
if settings.open_estimator:
    FURTHER.append(rules.ladder.output.ladder)
if settings.truth_of_levels and settings.paths_read("curvature"):
    FURTHER.extend(
        expand(rules.probes.output.probes, path=settings.paths_read("curvature"))
    )
if settings.has_stores:
    FURTHER.append(rules.stores.output.stores)
if config["stepwise_losses"]:
    FURTHER.append(rules.validate.output.stepwise)
if config["curriculum"]:
    FURTHER.append(rules.curriculum.output.curriculum)
if config["memorization"]:
    FURTHER.extend(rules.memorization.output)
if settings.replicates:
    FURTHER.append(rules.replicates.output.replicates)
# Names of `--config figures=...`: rule `figures` draws these only, and always.
with one_line_errors():
    REDRAWN = settings.redrawn_figures
DRAWN = {} if REDRAWN else settings.figures


rule figures:
    input:
        **RESULT_FILES,
        optional=FURTHER,
    output:
        **{
            name: report(
                f"{RESULTS}/figures/{name}.png",
                caption=str(entry.caption_file),
                category=entry.category,
                labels={"figure": entry.title},
            )
            for name, entry in DRAWN.items()
        },
        pdf=[f"{RESULTS}/figures/{name}.pdf" for name in DRAWN],
        index=multiext(f"{RESULTS}/figures/index", ".html", ".md") if DRAWN else [],
    log:
        f"{RESULTS}/logs/figures.log",
    conda:
        "../envs/study.yaml"
    threads: 2
    resources:
        **settings.resources(megabytes=1000, minutes=20),
    params:
        processes=2,
        names=REDRAWN,
        code=settings.code("figures.py"),
    message:
        "Drawing the figures"
    script:
        "../scripts/figures.py"
