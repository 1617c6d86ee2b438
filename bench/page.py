"""The benchmark as a page: the table of targets, the estimators, and the speed."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.studies import environment_text

Record = Mapping[str, Any]


def page(record: Record) -> str:
    """Return the content of `table.md` from the content of `bench.json`."""
    parts = [
        targets(record),
        footnote(record),
        estimators(record),
        *(_beside(record, name) for name in record["beside"]),
        speed(record["performance"]),
        profile(record["performance"]),
        memory(record["studies"]),
    ]
    return "\n\n".join(parts) + "\n"


def targets(record: Record) -> str:
    """Return the table of targets, and that of their numbers in each study."""
    rows = record["rows"]
    head = ["", "estimator", "mean [95 %]", "n", "std of the truth", "target", ""]
    means = table(head, [_target(row) for row in rows])
    return f"{means}\n\nStudy by study:\n\n{_by_study(record)}"


def _target(row: Record) -> list[str]:
    mean = row["mean"]
    passed = {True: "pass", False: "**fail**", None: "open"}[row["passed"]]
    estimator = f"`{row['estimator']}`" if row["estimator"] else "–"
    name = f"{row['name']} ({row['note']})" if row["note"] else row["name"]
    numbers = [interval(mean), str(mean["n"]), number(mean["spread"])]
    return [name, estimator, *numbers, row["target"], passed]


def _by_study(record: Record) -> str:
    rows = record["rows"]
    studies = list(dict.fromkeys(name for row in rows for name in row["studies"]))
    beside = list(record["beside"])
    cells = [
        [
            row["name"],
            *(value(row["studies"].get(name)) for name in studies),
            *(value(row["beside"].get(name)) for name in beside),
        ]
        for row in rows
    ]
    return table(["", *studies, *beside], cells)


def footnote(record: Record) -> str:
    """Return the line that explains the numbers and says what they were measured with."""
    first = next(iter(record["studies"].values()))
    seeds = sorted(
        {seed for study in record["studies"].values() for seed in study["seeds"].values()}
    )
    sizes = ", ".join(f"`{n}` {s['parameters']:,}" for n, s in record["studies"].items())
    return (
        "Mean over seeds, with the 95 % interval from resampling orders within each seed; of costs "
        "and sizes, the range over seeds. The std of the truth is that of the true metric over "
        f"random orders, in nats per token. Parameters: {sizes}. Seeds (init, data and order "
        f"alike): {', '.join(map(str, seeds))}. {environment_text(first)}."
    )


def estimators(record: Record) -> str:
    """Return the table of all estimators and baselines of the default study."""
    retrain = next(study["retrain_all"] for study in record["studies"].values())
    title = (
        "Every estimator, averaged over the seeds that have it. Costs are counted in retrainings; "
        f"retraining and evaluating {retrain['orders']} orders costs "
        f"{retrain['total_retrainings']:.1f}."
    )
    return f"{title}\n\n{_estimators(record['estimators'])}"


def _beside(record: Record, name: str) -> str:
    study = record["studies"][name]
    spread = number(study["spread"]["heldout"]["std"])
    rate = study["config"]["optimizer"]["learning_rate"]
    return (
        f"Study `{name}`: {study['parameters']:,} parameters, T = {study['steps']}, learning rate "
        f"{rate:g}, std of the true `heldout` {spread}.\n\n{_estimators(record['beside'][name])}"
    )


def _estimators(entries: Mapping[str, Record]) -> str:
    """Return two tables: ranks and coverage, then errors and costs."""
    ranks, errors = [], []
    for name, entry in entries.items():
        rank, single = entry["order_lds"]["mean"], entry["domain_order_lds"]["mean"]
        ranks.append(
            [
                f"`{name}`",
                str(len(entry["studies"])),
                interval(rank),
                str(rank["n"]),
                number(rank["spread"]),
                interval(single),
                number(entry["coverage"]["value"]),
            ]
        )
        costs = ("precompute_retrainings", "order_retrainings", "total_retrainings")
        errors.append(
            [
                f"`{name}`",
                *(number(entry[key]) for key in ("mae", "parameter_error", *costs)),
                "–" if not entry["bytes"] else f"{entry['bytes']:.3g}",
            ]
        )
    head = ["estimator", "seeds", "order-LDS of `heldout` [95 %]", "n", "std of the truth"]
    accuracy = table([*head, "single domains, median", "coverage"], ranks)
    head = ["estimator", "mean error", "parameter error", "precompute", "per order"]
    return f"{accuracy}\n\n{table([*head, 'all ranked orders', 'bytes'], errors)}"


def speed(performance: Record) -> str:
    """Return the table of timings, measured in one process."""
    measured = performance["measured"]
    gradients, replay, reduced = (measured[key] for key in ("gradients", "replay", "reduced"))
    nystrom, order0 = replay["nystrom"], replay["order0"]
    ratio = gradients["ratio"]
    rows = [
        ["training, units per second", number(gradients["training_units_per_second"]), ""],
        [
            "gradients for the table, units per second",
            number(gradients["table_units_per_second"]),
            f"{number(ratio)} of training (target 0.9: {'pass' if ratio >= 0.9 else '**fail**'})",
        ],
        [
            "the same, written to disk",
            number(gradients["written_units_per_second"]),
            f"{number(gradients['written_ratio'])} of training",
        ],
        ["memory, GB copied per second", number(replay["copy_bytes_per_second"] / 1e9), ""],
        [
            "`order0`, GB read or written per second",
            number(order0["bytes_per_second"] / 1e9),
            f"{number(order0['of_bandwidth'])} of the memory's bandwidth",
        ],
        [
            "`nystrom`, GB read or written per second",
            number(nystrom["bytes_per_second"] / 1e9),
            f"{number(nystrom['of_bandwidth'])} of the memory's bandwidth, "
            f"{number(nystrom['of_matmul'])} of the arithmetic of its products",
        ],
        [
            "`reduced`, schedules per second",
            f"{reduced['schedules_per_second']:,.0f}",
            f"{reduced['threads']} threads; a retraining takes "
            f"{number(gradients['retraining_seconds'])} s",
        ],
        ["peak memory of these measurements, GB", number(measured["peak_bytes"] / 1e9), ""],
    ]
    title = (
        f"Speed, on study `{measured['study']}`: {measured['parameters']:,} parameters, "
        f"T = {measured['steps']}, {measured['units']} units of {measured['sequences_per_unit']} "
        f"sequences, {replay['orders']} orders replayed at once; torch threads: "
        f"{measured['threads']}. {environment_text(performance['made'])}."
    )
    return f"{title}\n\n{table(['what', 'measured', 'in proportion'], rows)}"


def profile(performance: Record) -> str:
    """Return the table of the torch operators that take most time."""
    rows = [
        [
            work,
            ", ".join(f"`{entry['operator']}` {entry['share']:.0%}" for entry in operators),
        ]
        for work, operators in performance["measured"]["profile"].items()
    ]
    return f"Where the time goes:\n\n{table(['work', 'operators of torch, own time'], rows)}"


def memory(studies: Mapping[str, Record]) -> str:
    """Return the table of the time of each study and of the job with the most memory."""
    head = [
        "study",
        "parameters",
        "T",
        "a retraining, s",
        "all jobs, s",
        "peak memory of a job, GB",
    ]
    rows = [
        [
            f"`{name}`",
            f"{study['parameters']:,}",
            str(study["steps"]),
            number(study["retraining_seconds"]),
            f"{study['wall_seconds']:,.0f}",
            f"{number(study['peak_bytes']['bytes'] / 1e9)} (`{study['peak_bytes']['stage']}`)",
        ]
        for name, study in studies.items()
    ]
    return table(head, rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None) -> str:
    """Return a number with three digits."""
    return "–" if value is None else f"{value:.3g}"


def value(record: Record | None) -> str:
    """Return the value of a number without its interval."""
    return "–" if record is None else number(record["value"])


def interval(record: Record) -> str:
    """Return a number with its interval."""
    if record["value"] is None:
        return "undefined"
    if record["low"] is None or record["high"] is None:
        return number(record["value"])
    return f"{number(record['value'])} [{number(record['low'])}, {number(record['high'])}]"


def missing(record: Record) -> list[str]:
    """Return the sentence that names the rows of a page that are not measured, if any."""
    labels = record.get("missing", ())
    return [f"Not measured yet: {'; '.join(labels)}."] if labels else []
