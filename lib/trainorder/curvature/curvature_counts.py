"""The sequences that the low-rank curvature of a path differentiates, and the rank they allow."""

from bisect import bisect_right
from dataclasses import dataclass

from trainorder.config.sections.curvature import MIN_RANK, CurvatureConfig
from trainorder.curvature.probe_growth import CHECKED, ProbeGrowth
from trainorder.curvature.probe_rounds import ProbeRounds
from trainorder.curvature.sensitivities import GOAL_STEPS

_ROUNDING = 1e-6  # sequences, of a budget that was computed in retrainings


@dataclass(frozen=True)
class CurvatureCounts:
    """What decides how many sequences the low-rank curvature of a path differentiates.

    Attributes:
        config: the section `curvature`.
        pooled: sequences in the pools of all clusters, if these do not grow.
        units: U, the number of units.
        sequences: of a unit.
        goals: D, the number of domains with held-out text.
        heldout: sequences of each of them.
        reduced_readouts: sets of held-out losses that a reduced model reads; None without one.

    """

    config: CurvatureConfig
    pooled: int
    units: int
    sequences: int
    goals: int
    heldout: int
    reduced_readouts: int | None = None

    def rounds(self, budget: float) -> ProbeRounds:
        """Return the rounds of probing.

        Args:
            budget: sequences that probing and the stages after it may differentiate, for a rank of
                `auto`. If it is too small for any rank, the smallest one is taken.

        """
        if isinstance(self.config.rank, int):
            return ProbeRounds(self.config.rank)
        highest = MIN_RANK + max(0, int(budget)) // self.pooled
        ranks = range(MIN_RANK, highest + 1)
        allowed = bisect_right(
            ranks,
            budget - self.after_probing + _ROUNDING,
            key=lambda rank: self.probing(ProbeRounds(rank, grows=True)),
        )
        return ProbeRounds(ranks[max(0, allowed - 1)], grows=True)

    def ranks(self, rounds: ProbeRounds) -> list[int]:
        """Return the rank after each round from the goals' on."""
        return list(rounds.ranks(GOAL_STEPS * self.goals))

    def pool_passes(self, rounds: ProbeRounds) -> int:
        """Return how often probing differentiates every pool, if it reaches the largest rank."""
        checks = len(self.ranks(rounds)) - 1
        return self.config.first_anchors * (1 + rounds.most) + CHECKED * checks

    def probing(self, rounds: ProbeRounds) -> int:
        """Return the sequences that probing differentiates, if it reaches the largest rank."""
        return self.sensitivities + self.pool_passes(rounds) * self.pooled

    @property
    def sensitivities(self) -> int:
        """The held-out sequences that are differentiated for the probes of the goals."""
        return self.goals * self.heldout

    def growth(self, budget: float) -> ProbeGrowth:
        """Return what may grow beside the rank, with `budget` as in `rounds`."""
        return ProbeGrowth(
            budget - self.after_probing - self.sensitivities + _ROUNDING,
            pool=self.config.pool_is_open,
            anchors=self.config.anchors_are_open,
        )

    @property
    def unit_passes(self) -> int:
        """How often samples of units are differentiated for the units' own curvature."""
        directions = self.config.unit_directions
        return self.units * (1 + directions) if directions else 0

    @property
    def unit_sequences(self) -> int:
        """The sequences of such a sample."""
        return min(self.config.unit_sequences, self.sequences)

    @property
    def reduced_goals(self) -> int:
        """The number of held-out losses whose gradients the reduced model reads."""
        return (self.reduced_readouts or 0) * self.goals

    @property
    def reducing(self) -> int:
        """The sequences that the reduced model differentiates."""
        if self.reduced_readouts is None:
            return 0
        return self.units * self.sequences + self.reduced_goals * self.heldout

    @property
    def after_probing(self) -> int:
        """The sequences that the stages after probing differentiate, whatever the rank is."""
        return self.unit_passes * self.unit_sequences + self.reducing
