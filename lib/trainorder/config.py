"""The study's configuration: typed sections, and the checks that need no data.

The schema (`schemas/config.schema.yaml`) says which keys exist and what range each has; `check`
adds what one key alone cannot tell.
"""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os.path import isdir, isfile  # of what can be no path they say no, where pathlib raises
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from trainorder.errors import UserError
from trainorder.packaged_model import FOLDER

STORE = {  # what each method reads from the store
    "constant": ("path",),
    "order0": ("path", "table"),
    "fut": ("path", "table"),
    "fut++": ("path", "table"),
    "taylor1": ("path",),
    "taylor2": ("path",),
    "recency": ("path",),
    "nystrom": ("curvature",),
    "subsample": ("path", "table", "curvature"),
    "reduced": ("reduced",),
}
TABLE_METHODS = tuple(method for method, kinds in STORE.items() if "table" in kinds)
CURVATURE_METHODS = ("nystrom", "subsample", "reduced")  # rest on the low-rank expansion
PUBLISHED_METHODS = ("fut", "fut++")  # replay with the moments of the path
EXACT_METHODS = ("taylor1", "taylor2")  # differentiate at replay; dear, so scattered over jobs
TAIL_METHODS = (
    "order0",
    "recency",
    "nystrom",
    "subsample",
    *EXACT_METHODS,
)  # carry full states, so a tail can be exact
FITTED_METHODS = ("ridge", "proxy")  # fitted on the orders of split `fit`; they have no path
METRIC_METHODS = ("reduced", *FITTED_METHODS)  # estimate metrics, and no parameters
MIN_FIT = 4  # orders: a regression on fewer, leaving one out each time, means nothing
UNPRINTABLE = "\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"  # breaks a line, or stands in no file
_HUB_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?")
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
        unguarded = self.method in PUBLISHED_METHODS and self.guard is None
        name = f"{self.method}{'-unguarded' if unguarded else ''}"
        name += "" if self.size is None else str(self.size)
        name += f"-tail{self.tail}" if self.tail else ""
        return f"{name}@{self.path}" if self.path else name

    def shards(self, configured: int) -> int:
        """Jobs its orders are scattered over: `configured` for the dear methods, else one."""
        dear = self.method in (*EXACT_METHODS, "subsample") or self.tail > 0
        return configured if dear else 1


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
    fitted = any(entry["method"] in FITTED_METHODS for entry in estimators)
    return {**orders, **({} if fitted else {"fit": 0})}


def load_config(*paths: str | Path) -> dict[str, Any]:
    """Read YAML files and lay each over the one before, key by key.

    Raises:
        UserError: a file is missing or is not a YAML mapping.

    """
    config: dict[str, Any] = {}
    for path in paths:
        try:
            content = Path(path).read_bytes()
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read: {error}") from None
        _merge(config, parsed(content, path))
    return config


def parsed(content: bytes, where: str | Path) -> dict[str, Any]:
    """Return the mapping of keys to plain values that the bytes of a YAML file hold.

    Raises:
        UserError: they hold something else, or a key twice; the line begins with `where`.

    """
    try:
        found = _Loader(content.decode("utf-8")).get_single_data()
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{where}: not readable as YAML: {error}") from None
    if not isinstance(found, dict):
        raise UserError(f"{where}: not a mapping of keys to values")
    return found


class _Loader(yaml.SafeLoader):
    """Refuses a key that a mapping has twice, of which YAML's own loader keeps the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                line = key.start_mark.line + 1
                raise ValueError(f"line {line}: `{key.value}` stands twice; make it one")
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return node


def _merge(base: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value


def check(config: Mapping[str, Any], schema_path: str | Path) -> None:
    """Check the values of a whole configuration before anything runs; its files, by `check_files`.

    Raises:
        UserError: the first thing that is wrong, with its key and the remedy.

    """
    schema = yaml.safe_load(Path(schema_path).read_text(encoding="utf-8"))
    errors = sorted(
        _Validator(schema).iter_errors(dict(config)),
        key=lambda error: (
            list(map(str, error.absolute_path)),
            error.validator != "additionalProperties",  # a misspelt key tells more than a missing
            error.message,
        ),
    )
    if errors:
        raise UserError(f"config: {_one_line(errors[0])}")
    _check_paths(config)
    _check_window(WindowConfig(**config["window"]), OrdersConfig(**config["orders"]))
    _check_model(ModelConfig(**config["model"]), config["estimators"])
    if config["run"]:
        _check_run(config)
    _check_corpus(CorpusConfig(**config["corpus"]))
    _check_horizon(OptimizerConfig(**config["optimizer"]), WindowConfig(**config["window"]))
    _check_estimators(config)
    anchors, steps = config["expansion"]["anchors"], WindowConfig(**config["window"]).steps
    if isinstance(anchors, int) and anchors > steps:
        raise UserError(
            f"config: expansion.anchors: {anchors} anchors in a window of {steps} steps"
        )
    if config["curvature"]["anchors"] > steps:
        raise UserError(
            f"config: curvature.anchors: {config['curvature']['anchors']} anchors in a window of "
            f"{steps} steps"
        )
    clusters, units = config["curvature"]["clusters"], config["window"]["units"]
    if isinstance(clusters, int) and clusters > units:
        raise UserError(f"config: curvature.clusters: {clusters} clusters of {units} units")
    _check_shards(config, anchors if isinstance(anchors, int) else steps)
    _check_applications(config)


def check_files(config: Mapping[str, Any]) -> None:
    """Check that what a configuration names is there: text or tokens, a run, orders, a model.

    A folder that may as well be a name on the hub is looked for when it is read.

    Raises:
        UserError: the first that is not, with its key.

    """
    named = []
    if config["run"]:
        run = RunConfig(**config["run"])
        if not isdir(run.checkpoints):
            raise UserError(f"config: run.checkpoints: {run.checkpoints}: no such folder")
        named.append(("run.order", run.order))
    named += [("corpus.files", path) for path in config["corpus"]["files"]]
    if config["orders"]["custom"] is not None:
        named.append(("orders.custom", config["orders"]["custom"]))
    for key, path in named:
        if not isfile(path):
            raise UserError(f"config: {key}: {path}: no such file")
    for section, key in (("model", "source"), ("corpus", "tokenizer")):
        name = config[section][key]
        if name is None or isdir(name) or Path(name) == Path(FOLDER) or _may_be_hub_name(name):
            continue
        raise UserError(f"config: {section}.{key}: {name}: no such folder, and no name on the hub")


def _may_be_hub_name(name: str) -> bool:
    """Return whether a name may be one on the hub: not where its first part is a folder here."""
    parts = Path(name).parts
    return _HUB_NAME.fullmatch(name) is not None and not (len(parts) > 1 and isdir(parts[0]))


def _is_integer(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: Any, value: Any) -> bool:
    return _is_integer(_, value) or (isinstance(value, float) and math.isfinite(value))


# JSON Schema takes 8.0 for an integer, and not-a-number for a number above zero
_Validator = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    ),
)


def _one_line(error: jsonschema.ValidationError) -> str:
    if error.validator == "anyOf" and error.context:  # say what is wrong with the nearest branch
        error = max(
            reversed(error.context),
            key=lambda branch: (
                len(branch.path),
                branch.validator != "type",
                branch.validator == "additionalProperties",
            ),
        )
    where = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        schema: Any = error.schema
        instance: Any = error.instance
        known = list(schema["properties"])
        extra = min(set(instance) - set(known), key=str)
        close = difflib.get_close_matches(str(extra), known, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"known keys: {', '.join(known)}"
        return f"{where + '.' if where else ''}{extra}: unknown key; {hint}"
    if error.validator == "required":
        missing = re.search(r"'(.+?)' is a required", error.message)
        return f"{where + '.' if where else ''}{missing.group(1) if missing else '?'}: missing key"
    if error.validator == "pattern":
        return f"{where}: {error.instance!r} is no name: take letters, digits, `_`, `.` and `-`"
    if error.validator == "type" and re.fullmatch(r"[+-]?\d+[eE][+-]?\d+", str(error.instance)):
        return f"{where}: `{error.instance}` is text in YAML; write it with a dot, as in 1.0e-3"
    if error.validator == "type" and _is_text_of_number(error.instance):
        hint = "nested numbers given with Snakemake's --config are text: use --configfile"
        return f"{where}: {error.message}; {hint}"
    return f"{where}: {error.message}"


def _is_text_of_number(value: Any) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False


def _check_paths(config: Mapping[str, Any]) -> None:
    """Check that no path is a pattern: what stands in braces is a wildcard to Snakemake."""
    single = (("orders", "custom"), ("corpus", "tokenizer"), ("model", "source"))
    paths = [(f"{section}.{key}", config[section][key]) for section, key in single]
    paths += [("corpus.files", path) for path in config["corpus"]["files"]]
    run = config["run"] or {}
    paths += [(f"run.{key}", run[key]) for key in ("checkpoints", "order") if run]
    for key, path in paths:
        if path is not None and (odd := re.search(f"[{{}}{UNPRINTABLE}]", path)):
            raise UserError(
                f"config: {key}: {path!r}: Snakemake takes no {odd[0]!r} in a path; rename it"
            )


def _check_window(window: WindowConfig, orders: OrdersConfig) -> None:
    if (window.units * window.epochs) % window.units_per_step:
        raise UserError(
            f"config: window.units_per_step: {window.units} units x {window.epochs} epochs "
            f"do not fill whole steps of {window.units_per_step}; pick a divisor"
        )
    if window.units_per_step > window.units:
        raise UserError(
            f"config: window.units_per_step: {window.units_per_step} is more than "
            f"window.units ({window.units})"
        )
    places = window.units * window.epochs
    fitting = [size for size in orders.block_sizes if size <= places]
    if fitting != orders.block_sizes:
        raise UserError(
            f"config: orders.block_sizes: {max(orders.block_sizes)} is more than the {places} "
            f"places of the window; set it to {fitting}"
        )
    if len(set(orders.block_sizes)) < len(orders.block_sizes):
        raise UserError("config: orders.block_sizes: a size is named twice")


def _check_model(model: ModelConfig, estimators: Sequence[Mapping[str, Any]]) -> None:
    if model.source is None:
        for key in ("trainable", "lora"):
            if getattr(model, key) is not None:
                raise UserError(
                    f"config: model.{key}: needs a model.source; a new model is all trained"
                )
    elif any(entry["method"] == "proxy" for entry in estimators):
        raise UserError(
            "config: estimators: proxy: has no narrower model of a model.source; leave it out"
        )
    for pattern in model.trainable or []:
        try:
            re.compile(pattern)
        except re.error as error:
            raise UserError(f"config: model.trainable: `{pattern}`: {error}") from None
    if model.trainable is not None and model.lora is not None:
        raise UserError(
            "config: model.trainable, model.lora: adapters are trained alone; set one to null"
        )
    if model.hidden_size % (2 * model.heads):
        raise UserError(
            f"config: model.hidden_size: {model.hidden_size} is not a multiple of "
            f"2 x model.heads ({2 * model.heads})"
        )


def _check_corpus(corpus: CorpusConfig) -> None:
    if corpus.source == "files" and not corpus.files:
        raise UserError("config: corpus.files: no file is named for source `files`")
    if corpus.source == "hub" and corpus.hub is None:
        raise UserError("config: corpus.hub: no dataset is named for source `hub`")
    _check_pairs(corpus)
    if corpus.source == "tokens" and corpus.tokenizer is not None:
        raise UserError("config: corpus.tokenizer: source `tokens` holds no text; set it to null")
    _check_kinds(corpus)
    domains = corpus.domains or []
    if len(set(domains)) < len(domains):
        raise UserError("config: corpus.domains: a domain is named twice")
    if "mixed" in domains:
        raise UserError("config: corpus.domains: `mixed` is the label of mixed units; rename it")


def _check_pairs(corpus: CorpusConfig) -> None:
    columns = {"prompt_column": corpus.prompt_column, "response_column": corpus.response_column}
    missing = [key for key, column in columns.items() if column is None]
    if len(missing) == 1:
        raise UserError(
            f"config: corpus.{missing[0]}: missing; pairs need prompt_column and response_column"
        )
    if not corpus.pairs:
        return
    if corpus.prompt_column == corpus.response_column:
        raise UserError(
            f"config: corpus.response_column: `{corpus.response_column}` is prompt_column, too; "
            "name the column of responses"
        )
    if corpus.source in ("packages", "tokens"):
        raise UserError(
            f"config: corpus.prompt_column: source `{corpus.source}` has no columns; "
            "use files or hub, or set prompt_column and response_column to null"
        )
    for name in corpus.files:
        if Path(name).suffix == ".txt":
            raise UserError(
                f"config: corpus.files: {name}: a .txt file has no columns of prompts and "
                "responses; use .jsonl or .parquet"
            )


def _check_kinds(corpus: CorpusConfig) -> None:
    kinds: tuple[str, ...] = (".txt", ".jsonl", ".parquet")
    if corpus.source == "tokens":
        kinds = (".safetensors",)
        if len(corpus.files) != 1:
            raise UserError("config: corpus.files: source `tokens` is one .safetensors file")
    for name in corpus.files:
        if Path(name).suffix not in kinds:
            known = " or ".join([", ".join(kinds[:-1]), kinds[-1]] if kinds[1:] else kinds)
            raise UserError(f"config: corpus.files: {name}: not a {known} file")


def _check_horizon(optimizer: OptimizerConfig, window: WindowConfig) -> None:
    if optimizer.horizon is not None and optimizer.horizon < window.horizon:
        raise UserError(
            f"config: optimizer.horizon: {optimizer.horizon} steps, and the window ends after "
            f"{window.horizon}"
        )


def _check_run(config: Mapping[str, Any]) -> None:
    if config["corpus"]["source"] != "tokens":
        raise UserError(
            f"config: run: units are the very sequences that it consumed; corpus.source is "
            f"`{config['corpus']['source']}`, and must be `tokens`"
        )
    if config["optimizer"]["name"] != "adamw":
        raise UserError(
            f"config: run: the checkpoints of a run hold AdamW's state; optimizer.name is "
            f"`{config['optimizer']['name']}`, and must be `adamw`"
        )
    if any(entry["method"] == "proxy" for entry in config["estimators"]):
        raise UserError(
            "config: estimators: proxy: has no run of its narrower model to start from; leave it "
            "out, or set run to null"
        )
    if config["curriculum"] and config["curriculum"]["replicates"]:
        raise UserError(
            "config: curriculum.replicates: of other seeds and rates there is no run; leave them "
            "out, or set run to null"
        )


def _check_shards(config: Mapping[str, Any], anchors: int) -> None:
    """Check that no job would be left without work."""
    shards = config["shards"]
    counts = OrdersConfig(**orders_config(config["orders"], config["estimators"])).counts
    if shards["table"] > anchors:
        raise UserError(f"config: shards.table: {shards['table']} jobs for {anchors} anchors")
    if shards["truth"] > sum(counts.values()):
        raise UserError(
            f"config: shards.truth: {shards['truth']} jobs for {sum(counts.values())} orders"
        )
    if shards["curvature"] > config["window"]["units"]:
        raise UserError(
            f"config: shards.curvature: {shards['curvature']} jobs for "
            f"{config['window']['units']} units"
        )
    del counts["fit"]  # retrained, not estimated
    for entry in config["estimators"]:
        estimator = EstimatorConfig(**entry)
        orders = sum(min(n, estimator.orders.get(split, n)) for split, n in counts.items())
        jobs = estimator.shards(shards["estimate"])
        if jobs > orders:
            raise UserError(
                f"config: shards.estimate: {jobs} jobs for {orders} orders of {estimator.name}"
            )


def _check_estimators(config: Mapping[str, Any]) -> None:
    """Refuse estimators that cannot be had; all for which one reason holds are in its line."""
    refused: dict[str, list[str]] = {}
    names: set[str] = set()
    for entry in config["estimators"]:
        estimator = EstimatorConfig(**entry)
        wrong = {
            "config: estimators: {names}: listed twice": estimator.name in names,
            **_wrong_with_keys(estimator, config),
            **_wrong_with_optimizer(estimator, config["optimizer"]),
        }
        names.add(estimator.name)
        reason = next((reason for reason, holds in wrong.items() if holds), None)
        if reason is not None and estimator.name not in refused.setdefault(reason, []):
            refused[reason].append(estimator.name)
    for reason, named in refused.items():
        raise UserError(reason.format(names=", ".join(named)))


def _wrong_with_keys(estimator: EstimatorConfig, config: Mapping[str, Any]) -> dict[str, bool]:
    """Return what may be wrong with the keys of an estimator, called `{names}`, and what is."""
    method, where = estimator.method, "config: estimators: {names}"
    fitted, subsampled = method in FITTED_METHODS, method == "subsample"
    fit, unit_size = config["orders"]["fit"], config["window"]["unit_size"]
    steps = WindowConfig(**config["window"]).steps
    return {
        f"{where}: path: fitted baselines expand about none; leave it out": (
            fitted and estimator.path != ""
        ),
        f"config: orders.fit: {fit} orders to fit {{names}} on; at least {MIN_FIT} are needed": (
            fitted and fit < MIN_FIT
        ),
        f"{where}: path: missing key; it is reference or barycentre": (
            not fitted and not estimator.path
        ),
        f"{where}: size: missing key": subsampled and estimator.size is None,
        f"{where}: size: only subsample takes one": not subsampled and estimator.size is not None,
        f"{where}: size: units have {unit_size} sequences": (estimator.size or 0) > unit_size,
        f"{where}: tail: only {', '.join(TAIL_METHODS)} take one": (
            estimator.tail > 0 and method not in TAIL_METHODS
        ),
        f"{where}: tail: missing key; recency is nothing but a tail": (
            method == "recency" and not estimator.tail
        ),
        f"{where}: tail: the window has {steps} steps": estimator.tail > steps,
        f"{where}: guard: only {' and '.join(PUBLISHED_METHODS)} take one": (
            estimator.guard is not None and method not in PUBLISHED_METHODS
        ),
    }


def _wrong_with_optimizer(
    estimator: EstimatorConfig, optimizer: Mapping[str, Any]
) -> dict[str, bool]:
    """Return what an estimator, called `{names}`, may not be able to model, and what it is not."""
    published = estimator.method in PUBLISHED_METHODS
    clipped = optimizer["gradient_clip"] is not None
    return {
        f"config: optimizer.name: {{names}} can expand the update of Adam alone, not of "
        f"{optimizer['name']}; drop what is named or set the optimizer to adamw": (
            published and optimizer["name"] != "adamw"
        ),
        "config: optimizer.gradient_clip: {names} cannot model clipping; "
        "set it to null or drop what is named": published and clipped,
        "config: optimizer.gradient_clip: the barycentre path of {names} cannot model clipping; "
        "set it to null or use path: reference": clipped and estimator.path == "barycentre",
    }


SEARCHING = ("reduced@barycentre", "nystrom@barycentre")  # estimate the orders of a search


def _check_applications(config: Mapping[str, Any]) -> None:
    names = {EstimatorConfig(**entry).name for entry in config["estimators"]}
    needs = {
        "curriculum": SEARCHING if config["curriculum"] else (),
        "memorization": [config["memorization"]["estimator"]] if config["memorization"] else [],
    }
    for section, estimators in needs.items():
        if missing := [name for name in estimators if name not in names]:
            raise UserError(
                f"config: {section}: estimators lacks {', '.join(missing)}; list what is named, "
                f"or set {section} to null"
            )
        if estimators and config["window"]["epochs"] > 1:
            raise UserError(
                f"config: {section}: needs window.epochs 1, so that a unit has one place; "
                f"set it, or {section} to null"
            )
    if config["curriculum"]:
        _check_curriculum(CurriculumConfig(**config["curriculum"]), config)


def _check_curriculum(curriculum: CurriculumConfig, config: Mapping[str, Any]) -> None:
    window = WindowConfig(**config["window"])
    for pin in curriculum.pinned:
        for what, bound in (("unit", window.units), ("step", window.steps)):
            if pin[what] >= bound:
                raise UserError(
                    f"config: curriculum.pinned: {what} {pin[what]} does not exist; "
                    f"{what}s are 0..{bound - 1}"
                )
    if len(curriculum.weights) < len(curriculum.objective):
        raise UserError("config: curriculum.objective: a metric is named twice")
    for quota in curriculum.quotas:
        if quota["last"] >= window.steps or quota["first"] > quota["last"]:
            raise UserError(
                f"config: curriculum.quotas: steps {quota['first']} to {quota['last']} are no span "
                f"of a window of {window.steps} steps"
            )
    if curriculum.readouts > window.steps:
        raise UserError(
            f"config: curriculum.readouts: {curriculum.readouts} in a window of {window.steps} "
            "steps"
        )
    if len({pin["unit"] for pin in curriculum.pinned}) < len(curriculum.pinned):
        raise UserError("config: curriculum.pinned: a unit is pinned twice")
