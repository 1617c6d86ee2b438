"""The best order of the study, its gain, and how certain it is, in sentences."""

from collections.abc import Mapping
from typing import Any

from trainorder.config.sections.curriculum import GLOBAL
from trainorder.curriculum.candidates_file import SEARCHED
from trainorder.curriculum.objective_words import objective_text
from trainorder.evaluation.estimate_cost import retrainings_text
from trainorder.evaluation.results import Results
from trainorder.report.numbers import gain_text, short


def best_order_answer(results: Results) -> list[str]:
    """Return the best order, its gain over random orders, and what supports the gain."""
    content = results.curriculum
    if content is None:
        return ["This study did not search for an order (`curriculum` in its configuration)."]
    return [
        _winner(content),
        _evidence(content),
        _equal_compute(content, _confidence(results)),
        *_elsewhere(results, content),
    ]


def _confidence(results: Results) -> float:
    return float(results.validation["provenance"]["config"]["validation"]["confidence"])


def _winner(content: Mapping[str, Any]) -> str:
    random, gains, true = content["random"], content["gains"], true_objectives(content)
    winner, what = content["winner"], objective_text(content)
    best = min(random["true"].values())
    over_best = {
        "value": best - true[winner],
        "in_spreads": (best - true[winner]) / random["std"] if random["std"] else None,
    }
    return (
        f"**`{winner}`**, found by the search and then retrained: its true {what} is "
        f"{true[winner]:.4f}, that of the held-back random orders {random['mean']:.4f} on average. "
        f"It gains {gain_text(gains['random_mean'])} over this mean, {gain_text(over_best)} over "
        f"the best of all {random['n']} retrained random orders, and {gain_text(gains['field'])} "
        f"over `{content['best_of_field']}`, the best of the structured and heuristic orders."
    )


def true_objectives(content: Mapping[str, Any]) -> dict[str, float]:
    """Return the true objective of each retrained candidate of `curriculum.json`."""
    return {one["name"]: one["true"] for one in content["orders"] if one["true"] is not None}


def _evidence(content: Mapping[str, Any]) -> str:
    """Return how the winner compares with each random order and with the other searches."""
    true, winner = true_objectives(content), content["winner"]
    random = content["random"]["true"].values()
    beaten = sum(value > true[winner] for value in random)
    others = [
        true[one["name"]]
        for one in content["orders"]
        if one["kind"] == SEARCHED and one["name"] in true and one["name"] != winner
    ]
    if not others:
        found = ""
    elif min(others) == max(others):
        found = f" The other searched order ends at {others[0]:.4f}."
    else:
        found = (
            f" The other {len(others)} searched orders end between {min(others):.4f} and "
            f"{max(others):.4f}."
        )
    return (
        f"How certain is that for this training? It is better than {beaten} of {len(random)} "
        f"retrained random orders.{found}"
    )


def _equal_compute(content: Mapping[str, Any], confidence: float) -> str:
    """Return the gain over the best of as many random orders as the same compute retrains."""
    compute, equal = content["compute"], content["gains"]["same_compute"]
    count, had = compute["random_orders_for_it"], compute["random_orders_had"]
    best = (
        "the expected best of them"
        if count <= had
        else f"the best of all {had} that the study retrained"
    )
    side = "So the search paid" if _above_zero(equal) else "So it is not shown that it paid"
    return (
        f"Was the search worth its compute? {_compute(content)} The same compute retrains {count} "
        f"random orders (rounded up). Over {best} the winner gains {gain_text(equal, confidence)}. "
        f"{side}.{_covered(equal)}"
    )


def _compute(content: Mapping[str, Any]) -> str:
    """Return what the search cost, part by part."""
    compute = content["compute"]
    total, precompute, search = (
        retrainings_text(compute[f"{part}_retrainings"])
        for part in ("total", "precompute", "search")
    )
    calibration = (
        "Not counted are the calibration orders, which every study retrains."
        if content.get("method", GLOBAL) == GLOBAL
        else "The calibration orders that the search starts from are counted."
    )
    return (
        f"It took {total} retrainings: {precompute} to precompute its estimators and to choose "
        f"their size or rank, {search} to propose and estimate, and {compute['retrained']} to "
        "retrain orders. Here an order counts as one retraining, without its evaluation. "
        f"{calibration}"
    )


def _covered(gain: Mapping[str, Any]) -> str:
    """Return what the interval of a gain covers; nothing without an interval."""
    if gain.get("low") is None:
        return ""
    return (
        " The interval covers only which random orders were drawn. It does not cover another "
        "held-out text or other seeds. Retraining an order on the same machine once more gives "
        "the same loss, so there is no noise of repetition."
    )


def _elsewhere(results: Results, content: Mapping[str, Any]) -> list[str]:
    """Return fresh retrainings and replicates, where the study has them."""
    sentences = []
    fresh = content.get("fresh") or []
    if fresh:
        parts = [f"{short(one['gains']['random_mean']['in_spreads'])}" for one in fresh]
        sentences.append(
            "Retrained afresh, without any part in its choice (other held-out text, other initial "
            f"weights), it gains {', '.join(parts)} spreads over the mean random order."
        )
    if results.replicates:
        for name, group in results.replicates["groups"].items():
            gain, confidence = group["gains"]["same_compute"], results.replicates["confidence"]
            sentences.append(
                f"In {gain['n']} studies with other seeds ({name}), the mean gain at equal compute "
                f"is {gain_text(gain, confidence)}; {_shown(gain)}."
            )
    elif not fresh:
        sentences.append(
            "Does it hold for other initial weights and other held-out text? This study did not "
            "test it, so a part of the gain may be luck. The keys `curriculum.fresh` and "
            "`curriculum.replicates` of the configuration test it."
        )
    return sentences


def _shown(gain: Mapping[str, Any]) -> str:
    return "the gain is shown" if _above_zero(gain) else "the interval contains 0: no gain is shown"


def _above_zero(gain: Mapping[str, Any]) -> bool:
    low = gain.get("low")
    return bool((gain["value"] if low is None else low) > 0)
