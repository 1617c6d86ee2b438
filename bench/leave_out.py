"""Whether estimators predict what leaving units out does: LDS, as studies of data attribution use.

python -m bench.leave_out results/default     # docs/measured/leave_out.json, docs/orders.md

The orders leave random units out of the reference order. Each is retrained from the state before
the window, which takes most of the time, and estimated with every estimator of the finished study
that can estimate further orders for at most `LIMIT` of a retraining each. Retrained orders are
kept, so the command continues after an interruption.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.leave_out_page import markdown
from bench.section import Section, write_measured
from bench.studies import FOLDER, environment, say
from trainorder import Study
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.data.metrics import MAIN_METRIC
from trainorder.numerics.resampling import Floats, bootstrap_rank_correlation, finite
from trainorder.orders.leave_out import leave_out_orders
from trainorder.orders.order import REFERENCE, Order
from trainorder.storage.formats import read_json, write_json
from trainorder.storage.provenance import digest

OUTPUT = Path("docs/measured/leave_out.json")
PAGE, MARK = Path("docs/orders.md"), "leave-out"
PARTS = (32, 8, 2)  # one unit in so many is left out
COUNT = 24  # orders of each part
LIMIT = 1 / 8  # retrainings of an estimated order


def groups_of(study: Study) -> dict[int, list[Order]]:
    """Return the orders by the number of units that they leave out."""
    units = len(study.unit_domains)
    numbers = sorted({max(1, units // part) for part in PARTS})
    return {
        left_out: leave_out_orders(study.orders, count=COUNT, left_out=left_out, seed=left_out)
        for left_out in numbers
    }


def estimators_of(study: Study) -> list[str]:
    """Return the estimators that are compared, in the sequence of the configuration."""
    names = []
    for entry in study.config["estimators"]:
        config = EstimatorConfig(**entry)
        cost = study.results.score(config.name)["cost"]["per_order_retrainings"]
        if not (config.descriptor.fitted or config.descriptor.ignores_order or (cost or 0) > LIMIT):
            names.append(config.name)
    return names


def retrained(study: Study, orders: Sequence[Order]) -> list[dict[str, float]]:
    """Return the true metrics of `orders`; those of an interrupted command are read."""
    kept = FOLDER / "leave_out" / f"{digest(study.config)}.json"
    known: dict[str, dict[str, float]] = read_json(kept) if kept.is_file() else {}
    for order in orders:
        name = digest(order.schedule.tolist())
        if name not in known:
            known[name] = study.retrain(order)
            write_json(kept, known)
            say(f"{order.name}: retrained")
    return [known[digest(order.schedule.tolist())] for order in orders]


def scores(estimated: Floats, true: Floats, validation: Mapping[str, Any]) -> dict[str, Any]:
    """Return how well estimated effects (O,) agree with the true ones: LDS and relative error."""
    settings = (validation["resamples"], validation["confidence"], 0)
    above, below = np.abs(estimated - true).mean(), np.abs(true).mean()
    return {
        "lds": bootstrap_rank_correlation(estimated, true, *settings)._asdict(),
        "relative_error": finite(above / below) if below else None,
    }


def compared(study: Study) -> dict[str, Any]:
    """Return the record of a study: the scores of each estimator, by units that are left out."""
    groups, names = groups_of(study), estimators_of(study)
    validation, reference = study.config["validation"], study.orders.reference
    base = study.results.truth[REFERENCE][MAIN_METRIC]
    true = {
        left_out: np.array([one[MAIN_METRIC] - base for one in retrained(study, orders)])
        for left_out, orders in groups.items()
    }
    result: dict[str, dict[str, Any]] = {}
    for name in names:
        say(f"{name}: estimating")
        [path] = study.estimates([reference], name)
        result[name] = {}
        for left_out, orders in groups.items():
            raw = [e.values[MAIN_METRIC].raw for e in study.estimates(orders, name)]
            effects = np.array(raw) - path.values[MAIN_METRIC].raw
            result[name][str(left_out)] = scores(effects, true[left_out], validation)
    cost = {name: study.results.score(name)["cost"] for name in names}
    shown = ("precompute_retrainings", "per_order_retrainings")
    return {
        "study": study.results.validation["study"],
        "made": environment(),
        "config": study.config,
        "units": len(study.unit_domains),
        "orders": COUNT,
        "effects": {
            str(left_out): {"mean": float(x.mean()), "std": float(x.std(ddof=1))}
            for left_out, x in true.items()
        },
        "costs": {name: {key: cost[name][key] for key in shown} for name in names},
        "estimators": result,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare estimators on leave-out orders of a finished study, and write the section."""
    write_measured(
        Section(OUTPUT, PAGE, MARK, markdown),
        "Compares estimators on leave-out orders.",
        lambda folders: compared(Study.open(folders[0])),
        arguments,
    )


if __name__ == "__main__":
    main()
