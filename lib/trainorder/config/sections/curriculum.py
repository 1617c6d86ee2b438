"""The search for orders."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from trainorder.config.sections.optimizer import Schedule
from trainorder.config.types import (
    CLOSED,
    BoundedNumber,
    Integer,
    Natural,
    NonEmpty,
    Number,
    Positive,
    Seed,
)

FRESH_SEEDS = (1000, 2000)  # of fresh initializations, beyond seeds.init; replicates are nearer
CANDIDATE_SHARDS = 2  # jobs that share the true retraining of the candidates
GLOBAL, STEPS, AUTO = "global", "steps", "auto"
SearchMethod = Literal["global", "steps", "auto"]  # of orders
OrderFamily = Literal["balanced", "patterns", "distance", "paired", "last-domain", "worst"]


@dataclass(frozen=True, config=CLOSED)
class ObjectiveTerm:
    """A metric of the objective and its weight."""

    metric: NonEmpty
    """heldout, or heldout/<domain>; with averaged_states also averaged_heldout, or
    averaged_heldout/<domain>."""
    weight: Number
    """Its weight; a negative one raises the metric."""


@dataclass(frozen=True, config=CLOSED)
class Pin:
    """A unit that stays at a step."""

    unit: Natural
    """Index of the unit."""
    step: Natural
    """Index of the step."""


@dataclass(frozen=True, config=CLOSED)
class QuotaConfig:
    """Bounds on the units of a domain in a span of steps."""

    domain: NonEmpty
    """A domain of the corpus, or mixed."""
    first: Natural
    """First step of the span."""
    last: Natural
    """Last step of the span, included."""
    least: Natural = 0
    """Smallest number of units."""
    most: Natural | None = None
    """Largest number of units. null: no bound."""


@dataclass(frozen=True, config=CLOSED)
class ReplicateConfig:
    """The same search with another seed, schedule or learning rate."""

    seed: Seed
    """Value of all three seeds."""
    schedule: Schedule | None = None
    """Learning-rate schedule. Default: that of the study."""
    learning_rate: BoundedNumber | None = None
    """Learning rate. Default: that of the study."""
    method: SearchMethod | None = None
    """Method of the search. Default: that of the study."""
    retrainings: Annotated[Number, Field(ge=1)] | None = None
    """Budget of a search by steps. Default: that of the study."""


@dataclass(frozen=True, config=CLOSED)
class CurriculumConfig:
    """The search for orders. null: no search."""

    objective: Annotated[list[ObjectiveTerm], Field(min_length=1)] = field(
        default_factory=lambda: [ObjectiveTerm(metric="heldout", weight=1.0)]
    )
    """Metrics whose weighted sum the search lowers."""
    readouts: Positive = 1
    """Evenly spread steps over which the objective is averaged; 1: the end of the window."""
    random: Annotated[Integer, Field(ge=200, le=1_000_000)] = 1024
    """Random orders that estimate the effects of positions."""
    rounds: Positive = 30
    """Generations of the genetic search and batches of the local search."""
    retrained: Positive = 3
    """Searched orders that are retrained."""
    pinned: list[Pin] = field(default_factory=list)
    """Units that stay at a step: [{unit: 3, step: 0}]."""
    quotas: list[QuotaConfig] = field(default_factory=list)
    """Units of a domain in a span: [{domain: code, first: 0, last: 7, least: 2, most: 4}]."""
    furthest: Natural | None = None
    """Largest number of steps between a unit's place and its place in the reference order."""
    replicates: list[ReplicateConfig] = field(default_factory=list)
    """Repeat the search: [{seed: 1, schedule: constant, learning_rate: 1.0e-3}]."""
    literature: list[OrderFamily] = field(default_factory=list)
    """Families of further heuristic orders to estimate and retrain, see docs/order_search.md."""
    method: SearchMethod = "global"
    """global: searches with the reduced model. steps: moves about retrained orders. auto: steps,
    unless both estimators of the global search are `trusted` or `rank only`."""
    retrainings: Annotated[Number, Field(ge=1)] = 48.0
    """For steps: budget of the search in retrainings, estimates included."""
    fresh: Natural = 0
    """Random orders to retrain with other initial weights and held-out text, beside the searched
    ones: how much of the gain is due to the order. 0: none."""

    @model_validator(mode="after")
    def _check(self) -> "CurriculumConfig":
        if len(self.weights) < len(self.objective):
            raise ValueError("objective: duplicate metric; list each metric once")
        if len(set(self.literature)) < len(self.literature):
            raise ValueError("literature: duplicate family; list each family once")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each metric in the objective."""
        return {term.metric: term.weight for term in self.objective}
