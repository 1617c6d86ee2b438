"""What one unit's position does, in sentences with the numbers of the study."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainorder.data.metrics import MAIN_METRIC
from trainorder.evaluation.results import Results
from trainorder.evaluation.verdict import RANK_ONLY, TRUSTED
from trainorder.orders.order import HELD_BACK
from trainorder.report.numbers import nats, short, with_interval

_NOTHING = (
    "the estimated effects say nothing about the true ones at the retrained positions, so the map "
    "is empty: it says that the position has no effect."
)
FEWEST = 6  # retrained cells of a map; the rank correlation of fewer says next to nothing


def position_answer(results: Results) -> list[str]:
    """Return the effect of a unit's position on its own text and on held-out text."""
    content, maps = results.memorization, results.maps
    if content is None or maps is None:
        return ["This study has no maps of positions (`memorization` in its configuration)."]
    return [
        f"These effects are estimates of `{content['estimator']}`, which is {content['verdict']} "
        f"on whole orders. {_warning(content)}{_retrained(content)}",
        f"{_own(content, _momentum(results))} {_checked(content, maps, 'own', 'presence')}",
        f"{_heldout(results, content, maps)} {_checked(content, maps, 'same', 'insertion')}",
    ]


def _warning(content: Mapping[str, Any]) -> str:
    """Return how little the effects say, if the estimator cannot rank orders."""
    if _can_rank(content):
        return ""
    return (
        "So the effects below are guesses. Draw conclusions only from the retrained positions, "
        "where each true effect stands beside its estimate. "
    )


def _can_rank(content: Mapping[str, Any]) -> bool:
    """Return whether the estimator of the maps can rank orders."""
    return content["verdict"] in (TRUSTED, RANK_ONLY)


def _retrained(content: Mapping[str, Any]) -> str:
    """Return how many cells were retrained, and how well the maps agree with them."""
    scores = [score for maps in content["agreement"].values() for score in maps.values()]
    counts = [score["n"] for score in scores]
    judged = [s for s in scores if s["n"] >= FEWEST and s["value"] is not None]
    few = [n for n in counts if n < FEWEST]
    text = (
        f"There are {len(scores)} maps: three losses, for three ways of moving a unit. To check "
        f"them, {content['retrained']} positions were retrained for each way of moving."
    )
    if judged:
        low, high = (end(judged, key=lambda score: score["value"]) for end in (min, max))
        text += (
            f" Over the {len(judged)} maps with {_range([s['n'] for s in judged])} retrained "
            f"cells, the rank correlation of estimate and truth is from {with_interval(low)} to "
            f"{with_interval(high)}."
        )
    if few:
        text += (
            f" {len(few)} maps have only {_range(few)} retrained cells, too few to say; a mixed "
            "unit has no loss of other domains."
        )
    return text


def _is_empty(content: Mapping[str, Any], quantity: str, kind: str) -> bool:
    return bool(content["agreement"][quantity][kind]["slope"] == 0)


def _range(counts: Sequence[int]) -> str:
    """Return the smallest and the largest of some counts.

    >>> _range([8, 8]), _range([4, 6])
    ('8', '4 to 6')
    """
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def _momentum(results: Results) -> float:
    optimizer = results.validation["provenance"]["config"]["optimizer"]
    return float(optimizer["beta1" if optimizer["name"] == "adamw" else "momentum"])


def _own(content: Mapping[str, Any], momentum: float) -> str:
    """Return how the loss on the unit itself depends on the step at which it is seen."""
    if _is_empty(content, "own", "presence"):
        return f"On its own text: {_NOTHING}"
    curve, steps = content["forgetting"]["all"], int(content["steps"])
    last, first = curve["advantage"][0], curve["advantage"][-1]
    if not max(last, first) > 0:
        return (
            "On its own text: having seen a unit gives no advantage over another unit of its "
            f"domain in its place ({nats(first)} nats per token if it comes in the first step, "
            f"{nats(last)} in the last one)."
        )
    return (
        "On its own text: two trainings are compared that differ in one step. In one, the unit "
        "comes at this step; in the other, another unit of its domain takes the place, and the "
        "unit itself is never trained on. The first training ends with a loss on the unit that is "
        f"**{nats(first)} nats per token lower** if the step is step 0, the first one, and "
        f"**{nats(last)} lower** if it is step {steps - 1}, the last one (means over all units). "
        f"{_faded(curve['half_life']['value'], is_larger=first > last, momentum=momentum)}"
    )


def _faded(life: float | None, *, is_larger: bool, momentum: float) -> str:
    """Return what the distance from the end of the window does to the advantage."""
    if life is not None:
        return f"The units are forgotten: half of the advantage is gone after {short(life)} steps."
    if not is_larger:
        return (
            "The advantage becomes smaller with the steps since, but does not fall to half within "
            "the window, so it has no half-life."
        )
    text = (
        "So nothing is forgotten within the window: the advantage is not smaller for units that "
        "were seen long ago, and there is no half-life."
    )
    if momentum:
        text += (
            " The last units have had only a part of their effect: with a momentum of "
            f"{momentum:g} the optimizer applies a gradient over about {1 / (1 - momentum):.0f} "
            "steps."
        )
    return text


def _heldout(results: Results, content: Mapping[str, Any], maps: Mapping[str, np.ndarray]) -> str:
    """Return how far, and in which direction, moving a unit changes the loss of its domain."""
    effects = maps["estimated_same_insertion"]
    if not np.isfinite(effects).any():
        return "On held-out text: the effect of a position was not estimated."
    if _is_empty(content, "same", "insertion"):
        return f"On held-out text of its domain: {_NOTHING}"
    sizes = np.abs(effects)
    return (
        "On held-out text of its domain: moving one unit of the reference order to another step "
        f"changes the loss by {nats(float(np.nanmedian(sizes)))} nats per token in the median over "
        f"all units and steps{_in_spreads(results, content['unit_domains'], sizes)}, and by "
        f"{nats(float(np.nanmax(sizes)))} at most.{_places(content, effects)}"
    )


def _places(content: Mapping[str, Any], effects: np.ndarray) -> str:
    """Return the best and the worst step for a unit, if the estimator can rank orders."""
    if not _can_rank(content):
        return ""
    by_step = np.nanmean(effects, axis=0)
    best, worst = int(np.nanargmin(by_step)), int(np.nanargmax(by_step))
    return (
        f" On average over units, step {best} is the best place ({nats(float(by_step[best]))} "
        f"against leaving the unit where it is in the reference order) and step {worst} the worst "
        f"({nats(float(by_step[worst]))}). This holds for the reference order with one unit moved, "
        "and need not hold for other orders."
    )


def _in_spreads(results: Results, domains: Sequence[str], sizes: np.ndarray) -> str:
    """Return the median effect in spreads of the domain of each unit; units of all domains too."""
    spreads = results.validation["spread"]
    metrics = [f"{MAIN_METRIC}/{domain}" for domain in domains]
    units = [
        spreads[metric if metric in spreads else MAIN_METRIC].get(HELD_BACK, {}).get("std")
        for metric in metrics
    ]
    if not all(units):
        return ""
    share = float(np.nanmedian(sizes / np.array(units)[:, None]))
    low, high = nats(min(units)), nats(max(units))
    each = f"{low} nats" if low == high else f"{low} to {high} nats, by domain"
    return f" (or {short(share)} spreads, each effect in the spread of its own loss: {each})"


def _checked(
    content: Mapping[str, Any], maps: Mapping[str, np.ndarray], quantity: str, kind: str
) -> str:
    """Return how far the estimated effects agree with those of the retrained positions."""
    score = content["agreement"][quantity][kind]
    text = (
        f"At the {score['n']} retrained positions, estimated and true effects have a rank "
        f"correlation of {with_interval(score)}"
    )
    if score.get("mse") is None:
        return f"{text}."
    error = math.sqrt(score["mse"])
    if _is_empty(content, quantity, kind):
        return f"{text}; the true effects there are {nats(error)} (root mean square)."
    beside = _beside(error, maps, quantity, kind)
    return f"{text}, and differ by {nats(error)} (root mean square). {beside}"


def _beside(error: float, maps: Mapping[str, np.ndarray], quantity: str, kind: str) -> str:
    """Return an error beside the size of the effects."""
    sizes = np.abs(maps[f"estimated_{quantity}_{kind}"])
    true = maps[f"true_{quantity}_{kind}"]
    median, usual = float(np.nanmedian(sizes)), math.sqrt(float(np.nanmean(true**2)))
    share = error / median if median else math.inf
    meaning = (
        ", so that the map shows large effects, and not whether an effect of usual size is real"
        if share > 0.5
        else ""
    )
    return (
        f"The true effects there are {nats(usual)} (root mean square). The difference is "
        f"{100 * share:.0f} % of the median size of all estimated effects, {nats(median)}{meaning}."
    )
