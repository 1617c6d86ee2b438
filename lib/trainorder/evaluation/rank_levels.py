"""Decides on the calibration orders when low-rank curvature was probed enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainorder.evaluation.tried_level import TriedLevel
from trainorder.evaluation.verdict import TRUSTED

LEAST_GAIN = 0.1  # of the relative error: a round that lowers it by a smaller share is the last
NO_GAIN = "it is trusted, and the last round lowered the relative error by less than a tenth"
OUT_OF_BUDGET = "ladder.precompute leaves too little for a further round"
NO_BUDGET = "the smallest rank: the other stages alone cost more than ladder.precompute"


@dataclass(frozen=True)
class RankLevel(TriedLevel):
    """The curvature after a round of probing, and how well it does on the calibration orders.

    Attributes:
        rank: the number of probes.
        pool: sequences of the largest pool of a cluster.
        probed_steps: steps of the path at which it is probed.
        precompute_retrainings: counted cost of a low-rank estimator of this rank, with all stages.
        scores: the entry that the replay would have in `validation.json`; None if the study has too
            few calibration orders to try it.

    """

    rank: int
    pool: int
    probed_steps: Sequence[int]
    precompute_retrainings: float
    scores: Mapping[str, Any] | None

    def record(self) -> dict[str, Any]:
        """Return the entry of this level in `probes.json`."""
        return {
            "rank": self.rank,
            "pool": self.pool,
            "probed_steps": [*self.probed_steps],
            "precompute_retrainings": self.precompute_retrainings,
            **self.scores_record(),
        }

    def as_text(self) -> str:
        """Return the level on one line."""
        error = "unknown" if self.relative_error is None else f"{self.relative_error:.2f}"
        steps = ", ".join(map(str, self.probed_steps))
        return (
            f"rank {self.rank}, pools of {self.pool}, probed at steps {steps} (precompute of "
            f"{self.precompute_retrainings:.1f} retrainings, relative error {error}): "
            f"{self.verdict}: {self.verdict_reason}"
        )


def enough(levels: Sequence[RankLevel]) -> bool:
    """Return whether the last level is trusted and hardly better than the one before it."""
    if len(levels) < 2 or levels[-1].verdict != TRUSTED:
        return False
    before, last = levels[-2].relative_error, levels[-1].relative_error
    return before is not None and last is not None and last > (1 - LEAST_GAIN) * before


def at_the_largest(level: RankLevel, budget: float) -> str:
    """Return why no more is probed than at the last level.

    Args:
        level: the last level.
        budget: `ladder.precompute`.

    """
    within = level.precompute_retrainings <= budget * (1 + 1e-9)
    return OUT_OF_BUDGET if within else NO_BUDGET
