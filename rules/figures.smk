# Every figure of the study: its category and its label in the report.
FIGURES = {
    "overview": ("Accuracy", "Overview: three estimators"),
    "estimated_vs_true": ("Accuracy", "Estimated against true, all orders"),
    "estimated_vs_true_random": ("Accuracy", "Estimated against true, random orders"),
    "order_lds": ("Accuracy", "Order-LDS by metric"),
    "error_along_window": ("Error", "Error along the window"),
    "error_vs_distance": ("Error", "Loss error by distance"),
    "parameter_error_vs_distance": ("Error", "Parameter error by distance"),
    "true_spread": ("Truth", "True effect of the order"),
    "cost_table": ("Cost", "Cost of each estimator"),
    "accuracy_vs_compute": ("Cost", "Accuracy at equal compute"),
}
# Further result files, in studies that have them.
FURTHER = []
if settings.open_estimator:
    FURTHER.append(rules.ladder.output.ladder)
    FIGURES["cost_accuracy_ladder"] = ("Cost", "Selection of the size")
if settings.truth_of_levels and settings.paths_read("curvature"):
    FURTHER.extend(
        expand(rules.probes.output.probes, path=settings.paths_read("curvature"))
    )
    FIGURES["rank_levels"] = ("Cost", "Selection of the rank")
if settings.has_stores:
    FURTHER.append(rules.stores.output.stores)
    FIGURES["stores"] = ("Cost", "Stores of the gradient table")
if config["stepwise_losses"]:
    FURTHER.append(rules.validate.output.stepwise)
    FIGURES["loss_along_window"] = ("Error", "Loss after every step")
if config["curriculum"]:
    FURTHER.append(rules.curriculum.output.curriculum)
    FIGURES["curriculum"] = ("Applications", "Searched orders, retrained")
if config["memorization"]:
    FURTHER.extend(rules.memorization.output)
    FIGURES["memorization"] = ("Applications", "Effect of a position")
    FIGURES["forgetting"] = ("Applications", "Forgetting by domain")
    if config["window"]["poisoned"]:
        FIGURES["poisoned"] = ("Applications", "Effect of a poisoned unit")
if settings.replicates:
    FURTHER.append(rules.replicates.output.replicates)
    FIGURES["replicates"] = ("Applications", "Gains of searched orders, replicated")


rule figures:
    input:
        **RESULT_FILES,
        optional=FURTHER,
    output:
        **{
            name: report(
                f"{RESULTS}/figures/{name}.png",
                caption=f"../report/{name}.rst",
                category=category,
                labels={"figure": label},
            )
            for name, (category, label) in FIGURES.items()
        },
        pdf=expand(f"{RESULTS}/figures/{{figure}}.pdf", figure=FIGURES),
    log:
        f"{RESULTS}/logs/figures.log",
    conda:
        "../envs/study.yaml"
    threads: 2
    resources:
        **settings.resources(megabytes=1000, minutes=20),
    params:
        processes=2,
        code=settings.code("figures.py"),
    message:
        "Drawing the figures"
    script:
        "../scripts/figures.py"
