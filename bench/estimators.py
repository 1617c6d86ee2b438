"""Compares all estimators and baselines: accuracy, coverage and cost, over seeds."""

from dataclasses import asdict
from typing import Any

from bench.choice import Studies, order_cost
from bench.numbers import covered, domains, main_metric, mean_of, median_rank, over_seeds, spread


def overview(studies: Studies) -> dict[str, Any]:
    """Return accuracy and cost of every estimator, averaged over the studies that have it."""
    names = dict.fromkeys(name for results in studies.values() for name in results.estimators)
    return {
        name: _entry({s: r for s, r in studies.items() if name in r.estimators}, name)
        for name in names
    }


def _entry(studies: Studies, name: str) -> dict[str, Any]:
    numbered = list(enumerate(studies.items()))
    ranks: dict[str, dict[str, Any]] = {}
    for label, metrics in (("heldout", main_metric), ("domains", domains)):
        spreads = {study: spread(results, metrics(results)) for study, results in studies.items()}
        drawn = {s: median_rank(r, name, metrics(r), i) for i, (s, r) in numbered}
        ranks[label] = {
            "studies": {s: asdict(part.number(spreads[s])) for s, part in drawn.items()},
            "mean": asdict(over_seeds(drawn, spreads)),
        }
    coverage = {s: covered(r, name, i) for i, (s, r) in numbered}
    scores = [results.score(name) for results in studies.values()]
    costs = [score["cost"] for score in scores]
    return {
        "studies": list(studies),
        "order_lds": ranks["heldout"],
        "domain_order_lds": ranks["domains"],
        "coverage": asdict(over_seeds(coverage, {})),
        "mae": mean_of(score["mae"]["heldout"]["random"] for score in scores),
        "parameter_error": mean_of(s["parameter_error"]["random"]["mean"] for s in scores),
        "diverged": sum(score["diverged"]["count"] for score in scores),
        "verdicts": [score["verdict"] for score in scores],
        "precompute_retrainings": mean_of(c["precompute_retrainings"] for c in costs),
        "order_retrainings": mean_of(order_cost(r, name) for r in studies.values()),
        "total_retrainings": mean_of(c["total_retrainings"] for c in costs),
        "bytes": mean_of(c["bytes"] for c in costs),
    }
