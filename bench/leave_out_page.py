"""The section about leave-out orders."""

from collections.abc import Mapping
from typing import Any

from bench.config_hash import config_text
from bench.page import interval, number, short_number, table
from bench.studies import environment_text

Record = Mapping[str, Any]

EXPLAINED = (
    "LDS: Spearman's correlation of the estimated and the true change of the held-out loss over "
    "{orders} orders that leave out as many random units of {units}, with its bootstrap interval. "
    "All orders are retrained. Costs are in retrainings: what is computed once, and each order. "
    "The effects of `adjoint` are exact derivatives, so its error is what the first order misses."
)
ERRORS = (
    "Relative error: the mean absolute error of the estimated change, before any recalibration, "
    'over the mean absolute change. 1 is the error of "leaving units out changes nothing".'
)


def markdown(record: Record) -> str:
    """Return the section of the study that `bench.leave_out` measured."""
    return "\n\n".join(
        [
            EXPLAINED.format(orders=record["orders"], units=record["units"]),
            _table(record, "LDS", lambda score: interval(score["lds"])),
            ERRORS,
            _table(record, "relative error", lambda score: short_number(score["relative_error"])),
            _effects(record),
            f"Study `{record['study']}`, {config_text(record['config'])}. "
            f"Measured on: {environment_text(record['made'])}.",
        ]
    )


def _table(record: Record, head: str, shown: Any) -> str:
    groups = list(record["effects"])
    columns = [f"{head}, {_units(group)}" for group in groups]
    rows = []
    for name, scores in record["estimators"].items():
        cost = record["costs"][name]
        rows.append(
            [
                f"`{name}`",
                f"{short_number(cost['precompute_retrainings'])} + "
                f"{short_number(cost['per_order_retrainings'])}",
                *(shown(scores[group]) for group in groups),
            ]
        )
    return table(["estimator", "cost", *columns], rows)


def _effects(record: Record) -> str:
    parts = [
        f"{number(effect['mean'])} ± {number(effect['std'])} for {_units(group)}"
        for group, effect in record["effects"].items()
    ]
    return (
        "The true change is, as mean ± standard deviation over orders in nats per token, "
        f"{', '.join(parts)}."
    )


def _units(group: str) -> str:
    return f"{group} unit{'' if group == '1' else 's'} left out"
