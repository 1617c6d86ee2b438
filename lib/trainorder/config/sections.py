"""The typed sections of a study's configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainorder.config.estimator_names import parse_name, write_name
from trainorder.config.methods import METHODS, Method

PACKAGED_MODEL_FOLDER = "resources/models/smollm2-135m"  # what `model.source` names
STRUCTURED = 6  # structured orders that every study has; the block-shuffled ones come on top


@dataclass(frozen=True)
class Seeds:
    """Separate seeds of initialisation, data and order."""

    init: int
    data: int
    order: int


@dataclass(frozen=True)
class CorpusConfig:
    """Where the text comes from and how it is cut into sequences."""

    source: str
    domains: list[str] | None  # None: all that the source has
    files: list[str]
    hub: dict[str, str] | None
    text_column: str
    domain_column: str
    tokenizer: str | None
    vocabulary: int
    sequence_length: int
    heldout_sequences: int
    prompt_column: str | None = None  # None: text, no pairs
    response_column: str | None = None

    @property
    def pairs(self) -> bool:
        """Whether documents are pairs of prompt and response."""
        return self.prompt_column is not None

    @property
    def columns(self) -> dict[str, str]:
        """The source's column of each part of a document: of its `prompt`, if any, and `text`."""
        if self.prompt_column is None or self.response_column is None:
            return {"text": self.text_column}
        return {"prompt": self.prompt_column, "text": self.response_column}


@dataclass(frozen=True)
class ModelConfig:
    """A causal language model: one from `source`, or a new LLaMA-style decoder of these sizes."""

    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    source: str | None = None
    trainable: list[str] | None = None  # None: all
    lora: dict[str, Any] | None = None

    def new_parameters(self, vocabulary: int) -> int:
        """Return how many parameters a new decoder has: tied embeddings, blocks and norms."""
        h = self.hidden_size
        block = 4 * h**2 + 3 * h * self.intermediate_size + 2 * h
        return vocabulary * h + self.layers * block + h


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank adapters, which alone are trained."""

    rank: int
    alpha: int
    targets: list[str]


@dataclass(frozen=True)
class OptimizerConfig:
    """An optimizer and its learning-rate schedule.

    Attributes:
        name: `adamw` or `sgd`.
        momentum: of `sgd`; `beta1`, `beta2` and `epsilon` are of `adamw`.
        weight_decay: decoupled for `adamw`, added to the gradient for `sgd`.

    """

    learning_rate: float
    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float
    schedule: str
    linear_warmup_steps: int
    final_fraction: float
    gradient_clip: float | None
    name: str = "adamw"
    momentum: float = 0.9
    horizon: int | None = None  # steps that the schedule spans; None: warm-up training and window


@dataclass(frozen=True)
class WindowConfig:
    """The steps under study and the units they consume."""

    warmup_steps: int
    units: int
    unit_size: int
    units_per_step: int
    epochs: int
    mixed_fraction: float

    @property
    def steps(self) -> int:
        """T, the number of optimizer steps in the window."""
        return self.units * self.epochs // self.units_per_step

    @property
    def horizon(self) -> int:
        """Steps of warm-up training and window, which the schedule spans unless it says more."""
        return self.warmup_steps + self.steps

    def readouts(self, count: int) -> list[int]:
        """Return `count` evenly spread numbers of updates, the last of them all T."""
        return [round(self.steps * (i + 1) / count) for i in range(count)]

    @property
    def sequences_per_step(self) -> int:
        """Sequences that one optimizer step consumes."""
        return self.unit_size * self.units_per_step


@dataclass(frozen=True)
class RunConfig:
    """An existing run, whose checkpoints and data order are those of the reference.

    Attributes:
        checkpoints: the folder of its `checkpoint-<step>` folders.
        order: a file of one order, that in which it consumed the units of the window.
        tolerance: how far from its checkpoints training as configured may land, of the way there.

    """

    checkpoints: str
    order: str
    tolerance: float = 1e-3


@dataclass(frozen=True)
class OrdersConfig:
    """How many orders of each kind a study looks at."""

    calibration: int
    random: int
    fit: int
    block_sizes: list[int]
    custom: str | None

    @property
    def counts(self) -> dict[str, int]:
        """Orders of each split; how many custom ones there are, only their file can tell."""
        return {
            "reference": 1,
            "calibration": self.calibration,
            "random": self.random,
            "fit": self.fit,
            "structured": STRUCTURED + len(self.block_sizes),
        }


@dataclass(frozen=True)
class ExpansionConfig:
    """Where gradients are tabulated along the barycentre path, and from how much text it runs.

    Attributes:
        anchors: `auto` (as `tolerance` asks), `all`, or a number of evenly spread steps.
        tolerance: of `auto`: relative error of the table half-way between anchors.
        pool: sequences of each cluster that stand for it between anchors and in its curvature.

    """

    anchors: int | str
    tolerance: float
    pool: int


@dataclass(frozen=True)
class CurvatureConfig:
    """The low-rank curvature of clusters of units.

    Attributes:
        clusters: `domains`, or a number of k-means clusters of the units' gradients.
        anchors: steps of the path at which it is probed, evenly spread; interpolated between.
        rank: probes at most.
        tolerance: relative error at which probing stops before that.
        basis: rank of the shared basis that is kept.
        unit_directions: leading directions in which each unit's own curvature is added; 0 is none.
        unit_sequences: sequences that stand for a unit there.

    """

    clusters: int | str
    anchors: int
    rank: int
    tolerance: float
    basis: int
    unit_directions: int
    unit_sequences: int


@dataclass(frozen=True)
class EstimatorConfig:
    """One estimator of a study.

    Attributes:
        method: what it does.
        path: what it expands about; empty for the fitted baselines.
        guard: bound of the published methods' corrections.
        tail: steps at the end that are taken with true gradients.
        size: of `subsample`: sequences of each unit that are differentiated.
        orders: how many orders of each split it runs on at most.

    """

    method: str
    path: str = ""
    guard: float | None = None
    tail: int = 0
    size: int | None = None
    orders: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The estimator's name in files and figures, for instance `fut-unguarded@reference`."""
        return write_name(self.method, self.path, guard=self.guard, size=self.size, tail=self.tail)

    @classmethod
    def from_name(cls, name: str) -> "EstimatorConfig":
        """Return the estimator called `name`, on all orders; a name states no value of `guard`.

        Raises:
            UserError: it is no name of an estimator.

        """
        return cls(**parse_name(name))

    @property
    def descriptor(self) -> Method:
        """The facts about its method."""
        return METHODS[self.method]

    def shards(self, configured: int) -> int:
        """Return how many jobs share its orders: `configured` if a replay is expensive, else 1."""
        return configured if self.descriptor.expensive or self.tail > 0 else 1


@dataclass(frozen=True)
class CurriculumConfig:
    """The search for orders, and what it is compared with.

    Attributes:
        objective: `metric` and `weight` of what is lowered, summed; a list, for a mapping given in
            a file would be laid over the default's.
        readouts: evenly spread steps, the last the end, over which it is averaged; 1 is the end.
        random: random orders that effects are read from.
        rounds: generations of the genetic algorithm, and batches of local search.
        retrained: searched orders that are retrained.
        pinned: units that stand at a given step: `unit`, `step`.
        quotas: units of a domain in a span of steps, as `curriculum.constraints.Quota`.
        furthest: steps that a unit may be moved from its place in the reference; None: any.
        replicates: the same search in studies of other seeds, schedules, rates.

    """

    objective: list[dict[str, Any]]
    readouts: int
    random: int
    rounds: int
    retrained: int
    pinned: list[dict[str, int]]
    quotas: list[dict[str, Any]]
    furthest: int | None
    replicates: list[dict[str, Any]]

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each metric in the objective."""
        return {term["metric"]: term["weight"] for term in self.objective}


@dataclass(frozen=True)
class MemorizationConfig:
    """Maps of what a unit's position does.

    Attributes:
        estimator: that estimates all of the maps.
        retrained: cells of each map that are retrained.

    """

    estimator: str
    retrained: int


def orders_config(
    orders: Mapping[str, Any], estimators: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the section `orders`, with no orders to fit on where no estimator is fitted."""
    fitted = any(METHODS[entry["method"]].fitted for entry in estimators)
    return {**orders, **({} if fitted else {"fit": 0})}
