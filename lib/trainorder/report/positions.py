"""What one unit's position does, in sentences with the numbers of the study."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainorder.evaluation.results import Results
from trainorder.evaluation.verdict import MAIN_METRIC, RANK_ONLY, TRUSTED
from trainorder.report.numbers import nats, short, with_interval


def position_answer(results: Results) -> list[str]:
    """Return the effect of a unit's position on its own text and on held-out text."""
    content, maps = results.memorization, results.maps
    if content is None or maps is None:
        return ["This study has no maps of positions (`memorization` in its configuration)."]
    scores = [score for maps in content["agreement"].values() for score in maps.values()]
    ranks = [score["value"] for score in scores if score["value"] is not None] or [math.nan]
    return [
        f"These effects are estimates of `{content['estimator']}`, which is {content['verdict']} "
        f"on whole orders. {content['retrained']} positions were retrained to check them; over "
        f"the {len(ranks)} maps, the rank correlation of estimate and truth is {min(ranks):.2f} to "
        f"{max(ranks):.2f}.",
        f"{_own(content, _momentum(results))} {_checked(content, 'own', 'presence')}",
        f"{_heldout(results, content, maps)} {_checked(content, 'same', 'insertion')}",
    ]


def _momentum(results: Results) -> float:
    optimizer = results.validation["provenance"]["config"]["optimizer"]
    return float(optimizer["beta1" if optimizer["name"] == "adamw" else "momentum"])


def _own(content: Mapping[str, Any], momentum: float) -> str:
    """Return how the loss on the unit itself depends on the step at which it is seen."""
    curve, steps = content["forgetting"]["all"], int(content["steps"])
    last, first = curve["advantage"][0], curve["advantage"][-1]
    if not max(last, first) > 0:
        return (
            "On its own text: having seen a unit gives no advantage over another unit of its "
            f"domain in its place ({nats(first)} nats per token if it comes in the first step, "
            f"{nats(last)} in the last one)."
        )
    return (
        "On its own text: if a unit is trained on, and not another one of its domain in its place, "
        f"the loss on it ends **{nats(first)} nats per token lower** if it comes in the first of "
        f"{steps} steps, and **{nats(last)} lower** if it comes in the last one. "
        f"{_faded(curve['half_life']['value'], is_larger=first > last, momentum=momentum)}"
    )


def _faded(life: float | None, *, is_larger: bool, momentum: float) -> str:
    """Return what the distance from the end of the window does to the advantage."""
    if life is not None:
        return f"Half of the advantage is gone after {short(life)} steps."
    if is_larger and momentum:
        return (
            "The last units have had only a part of their effect: with a momentum of "
            f"{momentum:g} the optimizer applies a gradient over about {1 / (1 - momentum):.0f} "
            "steps."
        )
    return "The advantage does not fall to half within the window."


def _heldout(results: Results, content: Mapping[str, Any], maps: Mapping[str, np.ndarray]) -> str:
    """Return how far, and in which direction, moving a unit changes the loss of its domain."""
    effects = maps["estimated_same_insertion"]
    if not np.isfinite(effects).any():
        return "On held-out text: the effect of a position was not estimated."
    sizes = np.abs(effects)
    return (
        "On held-out text of its domain: moving one unit to another step changes the loss by "
        f"{nats(float(np.nanmedian(sizes)))} nats per token"
        f"{_in_spreads(results, content['unit_domains'], sizes)} in the median over all units and "
        f"steps, and by {nats(float(np.nanmax(sizes)))} at most.{_places(content, effects)}"
    )


def _places(content: Mapping[str, Any], effects: np.ndarray) -> str:
    """Return the best and the worst step for a unit, if the estimator can rank orders."""
    if content["verdict"] not in (TRUSTED, RANK_ONLY):
        return ""
    by_step = np.nanmean(effects, axis=0)
    best, worst = int(np.nanargmin(by_step)), int(np.nanargmax(by_step))
    return (
        f" On average over units, step {best} is the best place ({nats(float(by_step[best]))}) and "
        f"step {worst} the worst ({nats(float(by_step[worst]))}), counted from 0."
    )


def _in_spreads(results: Results, domains: Sequence[str], sizes: np.ndarray) -> str:
    """Return the median effect in spreads of the domain of each unit; units of all domains too."""
    spreads = results.validation["spread"]
    metrics = [f"{MAIN_METRIC}/{domain}" for domain in domains]
    units = [
        spreads[metric if metric in spreads else MAIN_METRIC].get("random", {}).get("std")
        for metric in metrics
    ]
    if not all(units):
        return ""
    share = float(np.nanmedian(sizes / np.array(units)[:, None]))
    return f" ({short(share)} spreads of this loss)"


def _checked(content: Mapping[str, Any], quantity: str, kind: str) -> str:
    """Return how far the estimated effects agree with those of the retrained positions."""
    score = content["agreement"][quantity][kind]
    error = score.get("mse")
    size = "" if error is None else f", and differ by {nats(math.sqrt(error))} (root mean square)"
    return (
        f"At the retrained positions, estimated and true effects have a rank correlation of "
        f"{with_interval(score)}{size}."
    )
