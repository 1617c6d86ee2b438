"""What one unit's position does, in sentences with the numbers of the study."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from trainorder.evaluation.results import Results
from trainorder.evaluation.verdict import MAIN_METRIC
from trainorder.report.numbers import short, with_interval


def position_answer(results: Results) -> list[str]:
    """Return the effect of a unit's position on its own text and on held-out text."""
    content, maps = results.memorization, results.maps
    if content is None or maps is None:
        return ["This study has no maps of positions (`memorization` in its configuration)."]
    return [
        _own(content["forgetting"]["all"], int(content["steps"])),
        _heldout(results, maps),
        _checked(content),
    ]


def _own(curve: Mapping[str, Any], steps: int) -> str:
    """Return how the loss on the unit itself depends on the steps since it was seen."""
    last, first = curve["advantage"][0], curve["advantage"][-1]
    if not last > 0:
        return (
            "On its own text: a unit that is trained on in the last step has no advantage over "
            f"another unit of its domain in its place ({short(last)} nats per token)."
        )
    ends = f" [{short(curve['low'][0])}, {short(curve['high'][0])}]"
    return (
        "On its own text: a unit that is trained on in the last step ends with a loss "
        f"**{short(last)} nats per token**{ends} **lower** than if another unit of its domain "
        f"were in its place. If it is trained on in the first of {steps} steps instead, its loss "
        f"ends {short(first)} lower. {_faded(curve['half_life']['value'], is_larger=first > last)}"
    )


def _faded(life: float | None, *, is_larger: bool) -> str:
    """Return what the distance from the end of the window does to the advantage."""
    if life is not None:
        return f"Half of the advantage is gone after {short(life)} steps."
    if is_larger:
        return (
            "So early units keep more than the last ones gain: a step teaches in proportion to its "
            "learning rate, and forgetting does not undo that within the window."
        )
    return "The advantage does not fall to half within the window."


def _heldout(results: Results, maps: Mapping[str, np.ndarray]) -> str:
    """Return how far moving a unit changes the held-out loss of its domain."""
    effects = np.abs(maps["estimated_same_insertion"])
    effects = effects[np.isfinite(effects)]
    if not len(effects):
        return "On held-out text: the effect of a position was not estimated."
    median, largest = float(np.median(effects)), float(effects.max())
    spread = results.validation["spread"][MAIN_METRIC].get("random", {}).get("std")
    beside = f" ({short(median / spread)} spreads)" if spread else ""
    return (
        f"On held-out text of its domain: moving one unit to another step changes the loss by "
        f"{short(median)} nats per token{beside} in the median over all units and steps, and by "
        f"{short(largest)} at most."
    )


def _checked(content: Mapping[str, Any]) -> str:
    """Return how far the estimated effects agree with retraining."""
    scores = content["agreement"]
    return (
        f"These effects are estimates of `{content['estimator']}` ({content['verdict']} on whole "
        f"orders). On {content['retrained']} positions that were retrained, estimated and true "
        f"effects of a moved unit have a rank correlation of "
        f"{with_interval(scores['own']['insertion'])} for its own text and "
        f"{with_interval(scores['same']['insertion'])} for held-out text."
    )
