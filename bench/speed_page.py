"""The tables of the speed of gradients, replays and the reduced model."""

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
