"""Checks of a whole configuration that need no data."""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from os.path import isdir, isfile  # of what can be no path they say no, where pathlib raises
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from trainorder.config.constraint_checks import check_constraints
from trainorder.config.estimator_names import SEARCH_ESTIMATORS
from trainorder.config.methods import METHODS, method_names
from trainorder.config.sections import (
    PACKAGED_MODEL_FOLDER,
    CorpusConfig,
    CurriculumConfig,
    EstimatorConfig,
    ModelConfig,
    OptimizerConfig,
    OrdersConfig,
    RunConfig,
    WindowConfig,
    orders_config,
)
from trainorder.errors import UserError

MIN_FIT = 4  # orders: a regression on fewer, leaving one out each time, means nothing
UNPRINTABLE = "\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"  # breaks a line, or stands in no file
_HUB_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?")


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
        if (
            name is None
            or isdir(name)
            or Path(name) == Path(PACKAGED_MODEL_FOLDER)
            or _may_be_hub_name(name)
        ):
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
    facts = METHODS[method]
    fitted, subsampled = facts.fitted, facts.takes_size
    tails, guards = (
        method_names(lambda m: m.takes_tail),
        method_names(lambda m: m.takes_guard),
    )
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
        f"{where}: tail: only {', '.join(tails)} take one": (
            estimator.tail > 0 and not facts.takes_tail
        ),
        f"{where}: tail: missing key; recency is nothing but a tail": (
            facts.needs_tail and not estimator.tail
        ),
        f"{where}: tail: the window has {steps} steps": estimator.tail > steps,
        f"{where}: guard: only {' and '.join(guards)} take one": (
            estimator.guard is not None and not facts.takes_guard
        ),
    }


def _wrong_with_optimizer(
    estimator: EstimatorConfig, optimizer: Mapping[str, Any]
) -> dict[str, bool]:
    """Return what an estimator, called `{names}`, may not be able to model, and what it is not."""
    published = estimator.descriptor.expands_adam
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


def _check_applications(config: Mapping[str, Any]) -> None:
    names = {EstimatorConfig(**entry).name for entry in config["estimators"]}
    needs = {
        "curriculum": SEARCH_ESTIMATORS if config["curriculum"] else (),
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
    check_constraints(curriculum, window)
    if len(curriculum.weights) < len(curriculum.objective):
        raise UserError("config: curriculum.objective: a metric is named twice")
    if curriculum.readouts > window.steps:
        raise UserError(
            f"config: curriculum.readouts: {curriculum.readouts} in a window of {window.steps} "
            "steps"
        )
