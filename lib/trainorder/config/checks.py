"""Checks that involve several sections of a configuration."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from trainorder.config.constraint_checks import check_constraints
from trainorder.config.estimator_names import PATHS
from trainorder.config.methods import Method, method_names
from trainorder.config.sections.curriculum import GLOBAL, CurriculumConfig
from trainorder.config.sections.curvature import MIN_RANK
from trainorder.config.sections.estimator import (
    EstimatorConfig,
    is_step_estimator,
    search_estimators,
)

if TYPE_CHECKING:
    from trainorder.config.study_config import Config

MIN_FRESH = 3  # random orders: with fewer, neither spread nor rank correlation
MIN_FIT = 4  # orders: a leave-one-out regression on fewer means nothing


def check_sections(config: "Config") -> None:
    """Check the keys that must fit each other.

    Raises:
        ValueError: the first pair of keys that does not fit; the line begins with a key.

    """
    _check_block_sizes(config)
    _check_model(config)
    _check_chats(config)
    _check_run(config)
    _check_rates(config)
    _check_estimators(config)
    _check_anchors(config)
    _check_poison(config)
    _check_averages(config)
    _check_choices(config)
    _check_shards(config)
    _check_applications(config)


def _check_block_sizes(config: "Config") -> None:
    places, sizes = config.window.units * config.window.epochs, config.orders.block_sizes
    fitting = [size for size in sizes if size <= places]
    if fitting != sizes:
        raise ValueError(
            f"orders.block_sizes: {max(sizes)} is more than the {places} places of the window; "
            f"set it to {fitting}"
        )


def _check_model(config: "Config") -> None:
    if config.model.source is not None and _trains_narrower_model(config):
        raise ValueError(
            "estimators: `proxy` cannot be used with model.source; remove it from estimators"
        )


def _trains_narrower_model(config: "Config") -> bool:
    return any(entry.descriptor.training_stage for entry in config.estimators)


def _check_chats(config: "Config") -> None:
    if config.corpus.chats and config.corpus.tokenizer is None and config.model.source is None:
        raise ValueError(
            "corpus.messages_column: chats need the chat template of a tokenizer; name one in "
            "corpus.tokenizer, or set model.source"
        )


def _check_run(config: "Config") -> None:
    if config.run is None:
        return
    if config.corpus.source != "tokens":
        raise ValueError(
            "run: units are the sequences that the run consumed; set corpus.source to `tokens` "
            f"instead of `{config.corpus.source}`"
        )
    if config.optimizer.name != "adamw":
        raise ValueError(
            "run: checkpoints hold the state of AdamW; set optimizer.name to `adamw` instead of "
            f"`{config.optimizer.name}`"
        )
    if _trains_narrower_model(config):
        raise ValueError(
            "estimators: `proxy` needs a run of its narrower model; remove it from estimators, or "
            "set run to null"
        )
    if config.curriculum and config.curriculum.replicates:
        raise ValueError(
            "curriculum.replicates: replicates need their own training runs, but `run` supplies "
            "only one; set it to [], or set run to null"
        )


def _check_rates(config: "Config") -> None:
    """Check that the schedule spans the steps of the study."""
    optimizer, steps = config.optimizer, config.window.horizon
    horizon = optimizer.horizon or steps
    if horizon < steps:
        raise ValueError(
            f"optimizer.horizon: {horizon} steps are fewer than warm-up and window, which have "
            f"{steps}; set it to at least that, or to null"
        )
    if optimizer.schedule == "warmup_stable_decay":
        parts = optimizer.linear_warmup_steps, optimizer.decaying(horizon)
        if sum(parts) > horizon:
            raise ValueError(
                f"optimizer.decay_steps: {parts[0]} warm-up steps and {parts[1]} decay steps are "
                f"more than the {horizon} steps of the schedule; lower it"
            )
    if isinstance(optimizer.rates, list):
        _check_table(len(optimizer.rates), config)


def _check_table(rates: int, config: "Config") -> None:
    least, most = config.window.steps, config.window.horizon
    if config.run is None:
        least = most
    if not least <= rates <= most:
        of = "the window" if config.run else "warm-up training and window"
        expected = f"{least}" if least == most else f"{least} to {most}"
        raise ValueError(
            f"optimizer.rates: {rates} rates, but {of} needs {expected}; the last one belongs to "
            "the last step of the window"
        )
    if config.curriculum and config.curriculum.replicates:
        raise ValueError(
            "curriculum.replicates: optimizer.rates replaces their schedules and rates; set it to "
            "[], or set optimizer.rates to null"
        )


def _check_anchors(config: "Config") -> None:
    steps, units = config.window.steps, config.window.units
    for key, anchors in (
        ("expansion.anchors", config.expansion.anchors),
        ("curvature.anchors", config.curvature.anchors),
    ):
        if isinstance(anchors, int) and anchors > steps:
            raise ValueError(
                f"{key}: {anchors} anchors do not fit in a window of {steps} steps; "
                f"set it to at most {steps}"
            )
    rank = config.curvature.rank
    if isinstance(rank, int) and rank < MIN_RANK:
        raise ValueError(f"curvature.rank: must be at least {MIN_RANK} or auto, not {rank}")
    clusters = config.curvature.clusters
    if isinstance(clusters, int) and clusters > units:
        raise ValueError(
            f"curvature.clusters: {clusters} clusters of {units} units; set it to at most {units}"
        )


def _check_poison(config: "Config") -> None:
    if config.window.poisoned and config.corpus.source == "tokens":
        raise ValueError(
            "window.poisoned: units of source `tokens` are used as they are; set it to 0"
        )


def _check_averages(config: "Config") -> None:
    count, steps = config.averaged_states, config.window.steps
    if count is not None and count > steps:
        raise ValueError(
            f"averaged_states: {count} states in a window of {steps} steps; set it to at most "
            f"{steps}, or to null"
        )


def _check_choices(config: "Config") -> None:
    choices, sequences = config.multiple_choice, config.corpus.heldout_sequences
    if choices and config.corpus.source != "tokens" and choices > sequences:
        raise ValueError(
            f"multiple_choice: {choices} choices from {sequences} held-out sequences of a domain; "
            f"set it to at most {sequences} (corpus.heldout_sequences), or to null"
        )


def _check_shards(config: "Config") -> None:
    """Check that no job would have nothing to do."""
    counts = dict(config.orders.counts)
    if not any(entry.descriptor.fitted for entry in config.estimators):
        counts["fit"] = 0
    anchors = config.expansion.anchors
    limits = {
        "table": (anchors if isinstance(anchors, int) else config.window.steps, "anchors"),
        "truth": (sum(counts.values()), "orders"),
        "curvature": (config.window.units, "units"),
    }
    for key, (limit, what) in limits.items():
        jobs = getattr(config.shards, key)
        if jobs > limit:
            raise ValueError(f"shards.{key}: {jobs} jobs for {limit} {what}; use at most {limit}")
    del counts["fit"]  # retrained, not estimated
    for entry in config.estimators:
        orders = entry.replayed(counts)
        jobs = entry.shards(config.shards.estimate)
        if jobs > orders:
            raise ValueError(
                f"shards.estimate: {jobs} jobs for {orders} orders of {entry.name}; "
                f"use at most {orders}"
            )


def _check_estimators(config: "Config") -> None:
    """Check each estimator. One line names all estimators with the same error."""
    wrong: dict[str, list[str]] = {}
    names: set[str] = set()
    for entry in config.estimators:
        reasons = [*_duplicates(entry, names), *estimator_errors(entry, config)]
        names.add(entry.name)
        if reasons and entry.name not in wrong.setdefault(reasons[0], []):
            wrong[reasons[0]].append(entry.name)
    for reason, estimators in wrong.items():
        raise ValueError(reason.format(names=", ".join(estimators)))
    if len(opened := [entry.name for entry in config.estimators if entry.size_is_open]) > 1:
        raise ValueError(
            f"estimators: {', '.join(opened)}: size: the ladder selects one size; set `size` in "
            "all of them but one"
        )


def estimator_errors(entry: EstimatorConfig, config: "Config") -> list[str]:
    """Return why an estimator does not fit the other sections, with `{names}` for its name."""
    errors = (_key_errors, _size_errors, _runs_errors, _tail_errors, _optimizer_errors)
    return [reason for each in errors for reason in each(entry, config)]


def _duplicates(entry: EstimatorConfig, names: set[str]) -> Iterator[str]:
    if entry.name in names:
        yield "estimators: {names}: duplicate estimator; list each one once"


def _key_errors(entry: EstimatorConfig, config: "Config") -> Iterator[str]:
    """Yield the errors in the keys of an estimator, with `{names}` in place of its name."""
    method, where = entry.descriptor, "estimators: {names}"
    fit = config.orders.fit
    if method.takes_path and not entry.path:
        yield f"{where}: path: missing key; set it to {' or '.join(PATHS)}"
    if entry.path and not method.takes_path:
        yield f"{where}: path: fitted baselines take no path; remove this key"
    if method.fitted and fit < MIN_FIT:
        yield f"orders.fit: {fit} orders to fit {{names}} on; set it to at least {MIN_FIT}"
    if method.needs_run and entry.path not in ("", "reference"):
        yield f"{where}: path: no run consumed units along {entry.path}; set it to reference"
    if entry.guard is not None and not method.takes_guard:
        yield f"{where}: guard: only {_those(lambda m: m.takes_guard)} take one; remove this key"


def _size_errors(entry: EstimatorConfig, config: "Config") -> Iterator[str]:
    method, where = entry.descriptor, "estimators: {names}"
    if not method.takes_size and entry.size is not None:
        yield f"{where}: size: only {_those(lambda m: m.takes_size)} takes a size; remove this key"
    if method.takes_size and entry.size is None and not entry.size_is_open:
        yield f"{where}: size: missing key; set the number of sequences of each unit"
    if entry.size_is_open and not entry.bounded(config.orders.counts)["calibration"]:
        yield (
            f"{where}: size: missing key; without calibration orders the ladder cannot select it; "
            "set it, or give calibration orders"
        )
    window = config.window
    if method.needs_run and window.unit_size == 1:
        most, had = window.units_per_step, "steps have only {} units of one sequence"
    else:
        most, had = window.unit_size, "units have only {} sequences"
    if (entry.size or 0) > most:
        yield f"{where}: size: {had.format(most)}; set it to at most {most}"


def _runs_errors(entry: EstimatorConfig, config: "Config") -> Iterator[str]:
    where, calibration = "estimators: {names}: runs", config.orders.calibration
    if entry.runs and not entry.descriptor.needs_run:
        yield f"{where}: only {_those(lambda m: m.needs_run)} takes known runs; remove this key"
    if entry.runs > calibration:
        yield (
            f"{where}: orders.calibration has only {calibration} orders to retrain; set it to at "
            f"most {calibration}"
        )


def _tail_errors(entry: EstimatorConfig, config: "Config") -> Iterator[str]:
    method, where = entry.descriptor, "estimators: {names}"
    steps = config.window.steps
    if entry.tail and not method.takes_tail:
        yield f"{where}: tail: only {_those(lambda m: m.takes_tail)} take a tail; remove this key"
    if method.needs_tail and not entry.tail:
        yield f"{where}: tail: missing key; set the number of last steps that are trained"
    if entry.tail > steps:
        yield f"{where}: tail: the window has only {steps} steps; set it to at most {steps}"


def _those(fits: Callable[[Method], bool]) -> str:
    return ", ".join(method_names(fits))


def _optimizer_errors(entry: EstimatorConfig, config: "Config") -> Iterator[str]:
    """Yield why an estimator cannot model the optimizer."""
    expands_adam = entry.descriptor.expands_adam
    clipped = config.optimizer.gradient_clip is not None
    if expands_adam and config.optimizer.name != "adamw":
        yield (
            f"optimizer.name: {{names}} can expand only the update of Adam, not of "
            f"{config.optimizer.name}; remove these estimators or set it to adamw"
        )
    if expands_adam and clipped:
        yield (
            "optimizer.gradient_clip: {names} cannot model clipping; set it to null or remove "
            "these estimators"
        )


def _check_applications(config: "Config") -> None:
    names = {entry.name for entry in config.estimators}
    needs: dict[str, tuple[str, ...]] = {}
    if config.curriculum:
        needs["curriculum"] = search_estimators(config.estimators)
    if config.memorization:
        needs["memorization"] = (config.memorization.estimator,)
    for section, estimators in needs.items():
        if missing := [name for name in estimators if name not in names]:
            raise ValueError(
                f"{section}: needs the estimators {', '.join(missing)}; add them to estimators, or "
                f"set {section} to null"
            )
        if config.window.epochs > 1:
            raise ValueError(
                f"{section}: a unit must have one place; set window.epochs to 1, or {section} to "
                "null"
            )
    if config.curriculum:
        _check_curriculum(config.curriculum, config)


def _check_curriculum(curriculum: CurriculumConfig, config: "Config") -> None:
    steps = config.window.steps
    if curriculum.method != GLOBAL and not any(map(is_step_estimator, config.estimators)):
        raise ValueError(
            f"curriculum.method: {curriculum.method} reads the residuals of known runs; add "
            "{method: corrected, path: reference, runs: 24} to estimators, or set it to global"
        )
    check_constraints(curriculum, config.window)
    given = config.model.source or config.run
    if curriculum.fresh and given and config.corpus.source == "tokens":
        raise ValueError(
            "curriculum.fresh: with given weights and tokens, there are no other initial weights "
            "and no other held-out text; set it to 0"
        )
    if 0 < curriculum.fresh < MIN_FRESH:
        raise ValueError(
            f"curriculum.fresh: {curriculum.fresh} random orders give no spread; set it to at "
            f"least {MIN_FRESH}, or to 0"
        )
    drawn = config.orders.random + config.orders.calibration
    if curriculum.fresh > drawn:
        raise ValueError(
            f"curriculum.fresh: {curriculum.fresh} is more than the {drawn} random and calibration "
            "orders; lower it, or raise orders.random"
        )
    if curriculum.readouts > steps:
        raise ValueError(
            f"curriculum.readouts: {curriculum.readouts} readouts in a window of {steps} steps; "
            f"set it to at most {steps}"
        )
