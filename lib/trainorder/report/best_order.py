"""The best order of the study, its gain, and how certain it is, in sentences."""

from collections.abc import Mapping
from typing import Any

from trainorder.curriculum.candidates import SEARCHED
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
        _equal_compute(content),
        *_elsewhere(results, content),
    ]


def _winner(content: Mapping[str, Any]) -> str:
    random, gains = content["random"], content["gains"]
    return (
        f"**`{content['winner']}`**, found by the search and then retrained: its true objective is "
        f"{true_objectives(content)[content['winner']]:.4f}, that of the held-back random orders "
        f"{random['mean']:.4f} on average. It gains {gain_text(gains['random_mean'])} over "
        f"this mean, and {gain_text(gains['field'])} over the best order that needs no search, "
        f"`{content['best_of_field']}`."
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


def _equal_compute(content: Mapping[str, Any]) -> str:
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
        f"Was the search worth its compute? It took {short(compute['total_retrainings'])} "
        f"retrainings, for which one could also retrain about {count} random orders. Over {best} "
        f"it gains {gain_text(equal)}. {side}."
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
            gain = group["gains"]["same_compute"]
            sentences.append(
                f"In {gain['n']} studies with other seeds ({name}), the mean gain at equal compute "
                f"is {gain_text(gain)}; {_shown(gain)}."
            )
    elif not fresh:
        sentences.append(
            "Does it hold for other initial weights and other held-out text? This study did not "
            "test it (`curriculum.fresh`, `curriculum.replicates`), so a part of the gain may be "
            "luck."
        )
    return sentences


def _shown(gain: Mapping[str, Any]) -> str:
    return "the gain is shown" if _above_zero(gain) else "the interval contains 0: no gain is shown"


def _above_zero(gain: Mapping[str, Any]) -> bool:
    low = gain.get("low")
    return bool((gain["value"] if low is None else low) > 0)
