"""Whether stacks of a study's estimators are better than its best single estimator.

python -m bench.stack results/default     # docs/measured/stack.json, docs/choose_estimator.md
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.section import Section, write_measured
from bench.stack_fit import Sample, comparison
from bench.stack_page import markdown
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.data.metrics import is_loss
from trainorder.evaluation.results import Results
from trainorder.evaluation.verdict import MIN_CALIBRATION
from trainorder.numerics.resampling import Floats

OUTPUT = Path("docs/measured/stack.json")
PAGE, MARK = Path("docs/choose_estimator.md"), "stack"
SPLITS = ("calibration", "random")
PAIR = ("corrected", "nystrom")  # methods of the second stack


def stacks_of(results: Results, metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Return the comparisons of a study, by metric: of all its estimators, and of those of `PAIR`.

    A study with less than two estimators that can be compared has none.
    """
    members = _members(results)
    pair = [name for name, method in members.items() if method in PAIR]
    sets = {"all": list(members), " and ".join(PAIR): pair}
    if len(pair) == len(members):
        del sets["all"]
    return [
        {
            "metric": metric,
            "set": label,
            **comparison(_sample(results, names, metric)),
            "per_order_retrainings": _cost(results, names),
        }
        for metric in metrics
        for label, names in sets.items()
        if len(names) > 1
    ]


def _members(results: Results) -> dict[str, str]:
    """Return the method of each estimator that a stack can have, by name.

    It has finite estimates of all calibration and random orders, which differ between orders. Each
    fit without one calibration order must be recalibrated, so these need one more than usual.
    """
    orders = [order for split in SPLITS for order in _orders(results, split)]
    if len(_orders(results, "calibration")) <= MIN_CALIBRATION:
        return {}
    members = {}
    for entry in results.validation["provenance"]["config"]["estimators"]:
        config = EstimatorConfig(**entry)
        raw = results.raw.get(config.name, {})
        values = [list(raw[order].values()) for order in orders if order in raw]
        complete = len(values) == len(orders) and bool(np.isfinite(values).all())
        if complete and not config.descriptor.ignores_order:
            members[config.name] = config.method
    return members


def _orders(results: Results, split: str) -> list[str]:
    return [order for order in results.orders if results.split(order) == split]


def _sample(results: Results, names: Sequence[str], metric: str) -> Sample:
    """Return raw estimates and truth of a metric."""

    def columns(split: str) -> tuple[Floats, Floats]:
        orders = _orders(results, split)
        raw = [[results.raw[name][order][metric] for name in names] for order in orders]
        return np.array(raw), np.array([results.truth[order][metric] for order in orders])

    return Sample(list(names), *columns("calibration"), *columns("random"))


def _cost(results: Results, names: Sequence[str]) -> float:
    """Return the cost of all members per order, in retrainings."""
    costs = [results.score(name)["cost"]["per_order_retrainings"] for name in names]
    return float(sum(cost or 0.0 for cost in costs))


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare stacks with single estimators on finished studies, and write the section."""
    write_measured(
        Section(OUTPUT, PAGE, MARK, markdown),
        "Compares stacks with single estimators.",
        lambda folders: {"studies": [_study(Results.read(path)) for path in folders]},
        arguments,
        several=True,
    )


def _study(results: Results) -> dict[str, Any]:
    provenance = results.validation["provenance"]
    return {
        "study": results.validation["study"],
        "made": {key: provenance[key] for key in ("versions", "machine")},
        "config": provenance["config"],
        "stacks": stacks_of(results, [m for m in results.metrics if is_loss(m)]),
    }


if __name__ == "__main__":
    main()
