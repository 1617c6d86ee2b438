# Figures of what only some studies have: category and label in the report.
OPTIONAL = {
    **({"stores": ("Cost", "Stores of the gradient table")} if STORES else {}),
    **(
        {"curriculum": ("Applications", "Searched orders, retrained")}
        if config["curriculum"]
        else {}
    ),
    **(
        {
            "memorization": (
                "Applications",
                "What a position does, estimated and true",
            ),
            "forgetting": ("Applications", "Forgetting by domain"),
        }
        if config["memorization"]
        else {}
    ),
    **(
        {"replicates": ("Applications", "Gains of searched orders, replicated")}
        if REPLICATES
        else {}
    ),
}
FIGURES = [
    "estimated_vs_true",
    "estimated_vs_true_random",
    "order_lds",
    "error_along_window",
    "error_vs_distance",
    "parameter_error_vs_distance",
    "true_spread",
    "cost_table",
    "accuracy_vs_compute",
    *OPTIONAL,
]


rule figures:
    input:
        validation=f"{RESULTS}/validation.json",
        truth=f"{RESULTS}/truth.csv",
        estimates=f"{RESULTS}/estimates.csv",
        trajectories=f"{RESULTS}/trajectories.csv",
        costs=f"{RESULTS}/costs.json",
        orders=f"{RESULTS}/orders.json",
        optional=[
            f"{RESULTS}/{name}"
            for name, there in {
                "stores.json": STORES,
                "curriculum.json": config["curriculum"],
                "memorization.json": config["memorization"],
                "memorization.h5": config["memorization"],
                "replicates.json": REPLICATES,
            }.items()
            if there
        ],
    output:
        **{
            name: report(
                f"{RESULTS}/figures/{name}.png",
                caption=f"../report/{name}.rst",
                category=category,
                labels={"figure": label},
            )
            for name, (category, label) in OPTIONAL.items()
        },
        pdf=expand(f"{RESULTS}/figures/{{figure}}.pdf", figure=FIGURES),
        estimated_vs_true=report(
            f"{RESULTS}/figures/estimated_vs_true.png",
            caption="../report/estimated_vs_true.rst",
            category="Accuracy",
            labels={"figure": "Estimated against true, all orders"},
        ),
        estimated_vs_true_random=report(
            f"{RESULTS}/figures/estimated_vs_true_random.png",
            caption="../report/estimated_vs_true_random.rst",
            category="Accuracy",
            labels={"figure": "Estimated against true, random orders"},
        ),
        order_lds=report(
            f"{RESULTS}/figures/order_lds.png",
            caption="../report/order_lds.rst",
            category="Accuracy",
            labels={"figure": "Order-LDS by metric"},
        ),
        error_along_window=report(
            f"{RESULTS}/figures/error_along_window.png",
            caption="../report/error_along_window.rst",
            category="Error",
            labels={"figure": "Error along the window"},
        ),
        error_vs_distance=report(
            f"{RESULTS}/figures/error_vs_distance.png",
            caption="../report/error_vs_distance.rst",
            category="Error",
            labels={"figure": "Loss error by distance"},
        ),
        parameter_error_vs_distance=report(
            f"{RESULTS}/figures/parameter_error_vs_distance.png",
            caption="../report/parameter_error_vs_distance.rst",
            category="Error",
            labels={"figure": "Parameter error by distance"},
        ),
        true_spread=report(
            f"{RESULTS}/figures/true_spread.png",
            caption="../report/true_spread.rst",
            category="Truth",
            labels={"figure": "True effect of the order"},
        ),
        cost_table=report(
            f"{RESULTS}/figures/cost_table.png",
            caption="../report/cost_table.rst",
            category="Cost",
            labels={"figure": "Cost of each estimator"},
        ),
        accuracy_vs_compute=report(
            f"{RESULTS}/figures/accuracy_vs_compute.png",
            caption="../report/accuracy_vs_compute.rst",
            category="Cost",
            labels={"figure": "Accuracy at equal compute"},
        ),
    log:
        f"{RESULTS}/logs/figures.log",
    conda:
        "../envs/study.yaml"
    threads: 2
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        processes=2,
        code=code("figures.py"),
    message:
        "Drawing the figures"
    script:
        "../scripts/figures.py"
