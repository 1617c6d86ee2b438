"""The best order of the study, its gain, and how certain it is, in sentences."""

from collections.abc import Mapping
from typing import Any

from trainorder.evaluation.results import Results
from trainorder.report.numbers import gain_text, short


def best_order_answer(results: Results) -> list[str]:
    """Return the best order, its gain over random orders, and what supports the gain."""
    content = results.curriculum
    if content is None:
        return ["This study did not search for an order (`curriculum` in its configuration)."]
    return [_winner(content), *_certainty(results, content)]


def _winner(content: Mapping[str, Any]) -> str:
    winner = content["winner"]
    [true] = [order["true"] for order in content["orders"] if order["name"] == winner]
    random, gains = content["random"], content["gains"]
    return (
        f"**`{winner}`**, found by the search and then retrained: its objective is {true:.4f}, "
        f"that of all {random['n']} retrained random orders {random['mean']:.4f} on average. "
        f"It gains {gain_text(gains['random_mean'])} over the mean random order, and "
        f"{gain_text(gains['field'])} over the best order of common practice, "
        f"`{content['best_of_field']}`."
    )


def _certainty(results: Results, content: Mapping[str, Any]) -> list[str]:
    """Return the fair comparison, fresh retrainings and replicates, where the study has them."""
    count, had = (content["compute"][f"random_orders_{which}"] for which in ("for_it", "had"))
    best = (
        "the best of these" if count <= had else f"the best of all {had} that the study retrained"
    )
    equal = content["gains"]["same_compute"]
    side = "the search paid" if _above_zero(equal) else "it is not shown that the search paid"
    sentences = [
        f"How certain: {side}. For its compute ({short(content['compute']['total_retrainings'])} "
        f"retrainings) one could retrain {count} random orders; over {best} it gains "
        f"{gain_text(equal)}."
    ]
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
        sentences.append("This is one study with one seed, so a part of the gain may be luck.")
    return sentences


def _shown(gain: Mapping[str, Any]) -> str:
    return "the gain is shown" if _above_zero(gain) else "the interval contains 0: no gain is shown"


def _above_zero(gain: Mapping[str, Any]) -> bool:
    low = gain.get("low")
    return bool((gain["value"] if low is None else low) > 0)
