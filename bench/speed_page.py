"""The tables of the speed of gradients, replays and the reduced model, and of a replay's parts."""

from collections.abc import Mapping
from typing import Any

from bench.config_hash import config_text
from bench.page import number, table
from bench.studies import environment_text

Record = Mapping[str, Any]


def speed(record: Record) -> str:
    """Return the table of timings, measured in one process."""
    measured = record["measured"]
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
        f"{measured['threads']}. {environment_text(record['made'])}; "
        f"{config_text(record['config'])}."
    )
    return f"{title}\n\n{table(['what', 'measured', 'in proportion'], rows)}"


def profile(record: Record) -> str:
    """Return the table of the torch operators that take most time."""
    rows = [
        [
            work,
            ", ".join(f"`{entry['operator']}` {entry['share']:.0%}" for entry in operators),
        ]
        for work, operators in record["measured"]["profile"].items()
    ]
    return f"Where the time goes:\n\n{table(['work', 'operators of torch, own time'], rows)}"


def parts(record: Record) -> str:
    """Return the table of the parts of a replay, and the sentence of what it means."""
    measured = record["measured"]
    replay = measured["parts"]
    orders, size, runs = (replay[key] for key in ("orders", "size", "runs"))
    rows = [_parts_row(name, own, orders) for name, own in replay["estimators"].items()]
    head = ["estimator", "a replay, s per order", "gradients", "reading", "arithmetic on vectors"]
    title = (
        f"Parts of a replay of {orders} random orders, with opening the files of the store. "
        f"`{replay['selected']}` has the size that the ladder selected, {size}, and {runs} known "
        "runs besides the reference run:"
    )
    explained = (
        "Gradients are those of the same sequences alone. Reading verifies the checksums of whole "
        "files, which the system holds in memory, and decodes the vectors; a job reads once for "
        "all of its orders. Arithmetic is the rest: the optimizer, the combination of residuals "
        "or the products with low-rank curvature, and projections for distances."
    )
    chosen = replay["estimators"][replay["selected"]]
    meaning = _meaning(chosen, orders * measured["steps"])
    return f"{title}\n\n{table([*head, 'files, MB'], rows)}\n\n{explained} {meaning}"


def _parts_row(name: str, own: Record, orders: int) -> list[str]:
    seconds = own["seconds"]
    whole = seconds["replay"]

    def part(key: str) -> str:
        if seconds[key] <= 0:
            return "too short to measure"
        return f"{number(seconds[key] / orders)} ({seconds[key] / whole:.0%})"

    gradients = part("gradients") if own["sequences"] else "none"
    each = [gradients, part("reading"), part("arithmetic")]
    return [f"`{name}`", number(whole / orders), *each, f"{own['file_bytes'] / 1e6:,.0f}"]


def _meaning(own: Record, visits: int) -> str:
    """Return how many sequences of a step take as long as the arithmetic.

    Args:
        own: the record of the estimator with residuals.
        visits: the number of steps of all orders.

    """
    seconds, sequences = own["seconds"], own["sequences"] / visits
    if seconds["arithmetic"] <= 0:
        return "The arithmetic of the first estimator was too short to measure."
    equal = seconds["arithmetic"] / seconds["gradients"] * sequences
    return (
        f"**The arithmetic of the first estimator takes as long as gradients of {number(equal)} "
        f"sequences per step, and it differentiates {number(sequences)}.** Both grow with the "
        "number of parameters, so for a larger model the arithmetic still matters only if a step "
        "differentiates fewer sequences, or shorter ones, or if there are more known runs."
    )
