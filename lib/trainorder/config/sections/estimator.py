"""One estimator of a study, and what a search takes of the estimators."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from trainorder.config.estimator_names import CONFIRMING, PATHS, SCREENING, parse_name, write_name
from trainorder.config.methods import METHODS, Method
from trainorder.config.sections.ladder import LadderConfig
from trainorder.config.sections.sizes import residual_size
from trainorder.config.sections.window import WindowConfig
from trainorder.config.types import CLOSED, Natural, Positive, PositiveNumber, SplitName, Text


@dataclass(frozen=True, config=CLOSED)
class EstimatorConfig:
    """One estimator."""

    method: Annotated[Text, Field(json_schema_extra={"enum": list(METHODS)})]
    """What it does, see docs/extend.md and docs/method.md."""
    path: Annotated[Text, Field(json_schema_extra={"enum": list(PATHS)})] = ""
    """Expansion path: reference or barycentre. Not for ridge, simfluence and proxy."""
    guard: PositiveNumber | None = None
    """For fut and fut++: bound of the correction of each number. null: no bound."""
    tail: Natural = 0
    """Last steps that use true gradients."""
    size: Positive | None = None
    """For subsample and corrected: sequences of each unit that are differentiated. For corrected on
    units of one sequence: units of each step. Without it, corrected uses the size that the ladder
    selects."""
    runs: Natural = 0
    """For corrected: calibration orders whose retraining is a known run, besides the reference."""
    orders: dict[SplitName, Natural] = field(default_factory=dict)
    """Largest number of orders of each split that it runs on. Default: all."""

    @model_validator(mode="after")
    def _check(self) -> "EstimatorConfig":
        if self.method not in METHODS:
            raise ValueError(f"method: {self.method!r} is not one of {', '.join(METHODS)}")
        if self.path and self.path not in PATHS:
            raise ValueError(f"path: {self.path!r} is not one of {', '.join(PATHS)}")
        return self

    @property
    def name(self) -> str:
        """The estimator's name in files and figures, for instance `fut-unguarded@reference`."""
        return write_name(
            self.method,
            self.path,
            guard=self.guard,
            size=self.size,
            tail=self.tail,
            runs=self.runs,
        )

    @classmethod
    def from_name(cls, name: str) -> "EstimatorConfig":
        """Return the estimator called `name`, on all orders; a name states no value of `guard`.

        Raises:
            UserError: no estimator can have this name.

        """
        return cls(**parse_name(name))

    @property
    def descriptor(self) -> Method:
        """The facts about its method."""
        return METHODS[self.method]

    @property
    def size_is_open(self) -> bool:
        """Whether the ladder selects its size."""
        return self.descriptor.needs_run and self.size is None

    @property
    def reads(self) -> tuple[str, ...]:
        """The kinds of files of the store that it reads."""
        return (*self.descriptor.reads, *(["known_runs"] if self.runs else []))

    def bounded(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Return on how many orders of each split it runs, of `counts`."""
        return {split: min(n, self.orders.get(split, n)) for split, n in counts.items()}

    def replayed(self, counts: Mapping[str, int]) -> int:
        """Return how many orders its jobs share, of `counts`.

        The ladder has already replayed the calibration orders where it selects the size.
        """
        left_out = {"calibration"} if self.size_is_open else set()
        return sum(n for split, n in self.bounded(counts).items() if split not in left_out)

    def retraining_shards(self, configured: int, counts: Mapping[str, int]) -> int:
        """Return how many jobs retrain its own model: `configured`, but each has an order.

        Args:
            configured: `shards.truth`.
            counts: number of orders of the study by split, `fit` included.

        """
        return min(configured, sum(self.bounded(counts).values()))

    def residual_sizes(self, window: WindowConfig, ladder: "LadderConfig") -> list[int]:
        """Return the sizes of subsamples whose residuals it may read: one, or those to try."""
        sizes = ladder.sizes(window) if self.size is None else [self.size]
        return sorted({residual_size(size, window.unit_size) for size in sizes})

    def shards(self, configured: int) -> int:
        """Return how many jobs share its orders: `configured` if a replay is expensive, else 1."""
        return configured if self.descriptor.expensive or self.tail > 0 else 1


def is_step_estimator(estimator: EstimatorConfig) -> bool:
    """Return whether a search by steps can read the known runs of an estimator."""
    return estimator.descriptor.needs_run and estimator.path == "reference"


def search_estimators(estimators: Sequence[EstimatorConfig]) -> tuple[str, str]:
    """Return the estimator that scores every order of a search, and that of the best orders.

    The best orders are scored by the estimator whose size the ladder selects, if there is one.
    """
    open_size = [estimator.name for estimator in estimators if estimator.size_is_open]
    return SCREENING, (open_size or [CONFIRMING])[0]
