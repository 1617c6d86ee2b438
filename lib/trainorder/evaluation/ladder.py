"""Selects the size of `corrected`: the smallest one that is enough on the calibration orders."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.errors import UserError
from trainorder.evaluation.tried_level import TriedLevel
from trainorder.evaluation.verdict import TRUSTED, best_estimator


@dataclass(frozen=True)
class Level(TriedLevel):
    """A size and how well it does on the calibration orders.

    Attributes:
        size: sequences of each unit, or units of each step if units have one sequence.
        per_order_retrainings: counted cost of an estimate.
        scores: the entry that an estimator of this size would have in `validation.json`.

    """

    size: int
    per_order_retrainings: float
    scores: Mapping[str, Any]

    def is_enough(self, error: float) -> bool:
        """Whether this size is trusted, with at most `error` as relative error."""
        own = self.relative_error
        return self.verdict == TRUSTED and own is not None and own <= error

    def record(self) -> dict[str, Any]:
        """Return the entry of this level in `ladder.json`."""
        return {
            "size": self.size,
            "per_order_retrainings": self.per_order_retrainings,
            **self.scores_record(),
        }


def climbed(sizes: Iterable[int], measured: Callable[[int], Level], error: float) -> list[Level]:
    """Return the levels of `sizes`, in their sequence, up to the first that is enough.

    Args:
        sizes: from the smallest to the largest that the budget allows.
        measured: tries a size.
        error: largest relative error of a trusted size that is enough.

    """
    levels = []
    for size in sizes:
        levels.append(measured(size))
        if levels[-1].is_enough(error):
            break
    return levels


def selected(levels: Sequence[Level]) -> Level:
    """Return the trusted level with the smallest relative error, or else the best verdict."""
    by_size = {str(level.size): level for level in levels}
    return by_size[best_estimator({size: level.scores for size, level in by_size.items()})]


def ladder_record(
    levels: Sequence[Level], *, study: str, estimator: str, most: int, whole: int, error: float
) -> dict[str, Any]:
    """Return the content of `ladder.json`.

    Args:
        levels: the levels that were tried.
        study: name of the study.
        estimator: the name of the estimator whose size is selected.
        most: the largest size that the budget allows.
        whole: the size that is a retraining.
        error: largest relative error of a trusted size that is enough.

    """
    chosen, last = selected(levels), levels[-1]
    following = min(2 * last.size, most if last.size < most else whole)
    per_sequence = last.per_order_retrainings / last.size
    return {
        "study": study,
        "estimator": estimator,
        "levels": [level.record() for level in levels],
        "selected": chosen.size,
        "reason": _reason(chosen, most, error),
        "next": None
        if last.size >= whole
        else {"size": following, "per_order_retrainings": following * per_sequence},
    }


def _reason(chosen: Level, most: int, error: float) -> str:
    if chosen.is_enough(error):
        return f"the smallest size that is trusted, with a relative error of at most {error:g}"
    if chosen.verdict == TRUSTED:
        return (
            f"no size up to {most}, the largest within ladder.per_order, has a relative error of "
            f"at most {error:g}; this one has the smallest of those that are trusted"
        )
    return (
        f"no size up to {most}, the largest within ladder.per_order, is trusted; this one has the "
        "best verdict"
    )


def selected_config(config: EstimatorConfig, record: Mapping[str, Any]) -> EstimatorConfig:
    """Return the configuration of an estimator with the size that `ladder.json` states.

    Raises:
        UserError: the record states no size, or that of another estimator.

    """
    size = record.get("selected")
    if record.get("estimator") != config.name or not isinstance(size, int):
        raise UserError(f"ladder.json: states no size for {config.name}; rerun rule `ladder`")
    return replace(config, size=size)
