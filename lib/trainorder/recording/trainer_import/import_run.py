"""Import the checkpoints of a `Trainer` of transformers as a record."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainorder.errors import UserError
from trainorder.recording.continuation import check_same_state
from trainorder.recording.record.equal_steps import common_rate
from trainorder.recording.record.heldout import heldout_path, publish_heldout
from trainorder.recording.record.layout import (
    MOMENTS,
    PARAMETERS_FILE,
    checkpoint,
    checkpoint_steps,
    checkpoints,
    recorded_states,
    recorded_steps,
)
from trainorder.recording.record.ownership import check_own_folder, check_separate
from trainorder.recording.record.removal import remove_steps
from trainorder.recording.record.settings import (
    RecordedSettings,
    check_same_run,
    common_weight_decay,
    read_settings,
    settings_path,
    write_settings,
)
from trainorder.recording.record.states import published_state, write_moments
from trainorder.recording.supported_runs import check_deterministic, shared_option
from trainorder.recording.trainer_import.checkpoint_files import (
    CONFIG_FILE,
    OPTIMIZER_FILE,
    ParameterGroup,
    StoredOptimizer,
    check_checkpoint,
    copy_parameters,
    read_optimizer,
    read_rate,
    read_trainer_state,
    stored_parameters,
    trainer_version,
)
from trainorder.recording.trainer_import.given_arrays import (
    read_heldout_sequences,
    read_rates,
    read_steps,
    write_steps,
)
from trainorder.recording.trainer_import.inferred_rates import (
    KnownRates,
    rate_readings,
    tells_the_logged_step,
)
from trainorder.recording.trainer_import.parameter_names import grouped_names, shape_of_model


@dataclass(frozen=True)
class Given:
    """The files that the user gives with an import, each .npy or None.

    Attributes:
        tokens: what the run consumed in the steps from its first imported checkpoint on, see
            `given_arrays.read_steps`.
        labels: the labels of these tokens, -100 where a token is no target; None: all are targets.
        heldout: held-out sequences (n, L).
        heldout_labels: the labels of these sequences, of the same shape.
        rates: the learning rate of each of these steps.

    """

    tokens: str | None = None
    labels: str | None = None
    heldout: str | None = None
    heldout_labels: str | None = None
    rates: str | None = None


@dataclass(frozen=True)
class Imported:
    """The result of an import.

    Attributes:
        states: the steps of the imported checkpoints.
        steps: the steps whose tokens are known.
        missing: what a study needs and the import did not find, one line each.
        skipped: why the last checkpoint is not imported; None if it is.

    """

    states: list[int]
    steps: range
    missing: list[str]
    skipped: str | None = None

    @property
    def unchecked(self) -> range:
        """The steps after the last checkpoint: no study can compare them with the run."""
        return range(max(self.steps.start, self.states[-1]), self.steps.stop)


def import_trainer(
    run: str | Path, record: str | Path, given: Given, *, start: int | None = None
) -> Imported:
    """Write a record of a run of the `Trainer` of transformers; the run stays as it is.

    Args:
        run: its output folder, with folders `checkpoint-<step>`.
        record: the folder of the record; states and steps of an earlier import are replaced.
        given: what the checkpoints do not contain.
        start: the step of the first checkpoint to import; None: the earliest.

    Raises:
        UserError: a file is missing, damaged or of another kind, a study cannot train the run
            again, or `record` has another run. Of pickles, only tensors and plain values are read.

    """
    run, record = Path(run), Path(record)
    available = _checkpoints(run)
    check_separate(run, record)
    check_own_folder(record)
    if start is not None and start not in available:
        names = ", ".join(map(str, available))
        raise UserError(f"{checkpoint(run, start)}: missing; start at one of {names}")
    states, skipped = _complete(run, [n for n in available if start is None or n >= start])
    _check_same_run(run, record, states)
    model = shape_of_model(checkpoint(run, states[0]))
    check_deterministic(model, str(checkpoint(run, states[0]) / CONFIG_FILE))
    for step in states:
        largest = _import_state(run, record, step, model)
    known_rates = _known_rates(run, [n for n in available if n <= states[-1]], largest)
    missing = list(_add_given(record, states[0], given, known_rates))
    return Imported(states, recorded_steps(record), missing, skipped)


def _checkpoints(run: Path) -> list[int]:
    if not run.is_dir():
        raise UserError(f"{run}: no such folder; give the folder of the run")
    steps = checkpoint_steps(checkpoints(run))
    if not steps:
        raise UserError(f"{run}: contains no folder checkpoint-<step>; give the folder of the run")
    return steps


def _complete(run: Path, states: Sequence[int]) -> tuple[list[int], str | None]:
    """Return the checkpoints without a damaged last one, and what is wrong with it.

    A run that is killed while it saves leaves a part of its last checkpoint.
    """
    *earlier, last = states
    for step in earlier:
        check_checkpoint(checkpoint(run, step))
    try:
        check_checkpoint(checkpoint(run, last))
        if earlier:
            read_optimizer(checkpoint(run, last))
    except UserError as error:
        if not earlier:
            raise
        return earlier, str(error)
    return list(states), None


def _check_same_run(run: Path, record: Path, states: Sequence[int]) -> None:
    """Check that the states of an earlier import are those of the run."""
    recorded = recorded_states(record)
    common = [step for step in states if step in recorded]
    if recorded and not common:
        raise UserError(
            f"{record}: has none of the checkpoints of {run}, so it may be the record of another "
            "run; choose another folder, or delete this one"
        )
    for step in common:
        check_same_state(checkpoint(record, step), stored_parameters(checkpoint(run, step)))


def _known_rates(run: Path, states: Sequence[int], largest: float) -> KnownRates:
    """Return what checkpoints and logs contain about the learning rates."""
    version = trainer_version(checkpoint(run, states[-1]))
    logs = (read_trainer_state(checkpoint(run, step)) for step in reversed(states))
    log = next((one for one in logs if one), {})
    stored = {step: read_rate(checkpoint(run, step)) for step in states}
    known = {step: rate for step, rate in stored.items() if rate is not None}
    return KnownRates(
        rate_readings(log, known, version),
        largest,
        int(log.get("max_steps") or 0),
        trusts_first=tells_the_logged_step(version),
    )


def _import_state(run: Path, record: Path, step: int, model: nn.Module) -> float:
    """Publish a checkpoint and the settings of its run; return the largest learning rate."""
    source = checkpoint(run, step)
    optimizer = read_optimizer(source)
    names = grouped_names(source / OPTIMIZER_FILE, model, optimizer)
    settings = _settings(source, model, optimizer.groups, names)
    if settings_path(record).exists():
        check_same_run(record, settings)
    moments = {
        f"{name}.{moment}": _moment(source, optimizer, number, moment, step)
        for group, own in zip(optimizer.groups, names, strict=True)
        for number, name in zip(group.params, own, strict=True)
        for moment in MOMENTS
    }
    write_settings(record, settings)  # before the states, so that a kill leaves a record
    with published_state(record, step) as private:
        shutil.copyfile(source / CONFIG_FILE, private / CONFIG_FILE)
        copy_parameters(source, private / PARAMETERS_FILE)
        write_moments(private, step, moments)
    return optimizer.groups[0].initial_lr


def _moment(
    source: Path, optimizer: StoredOptimizer, number: int, moment: str, step: int
) -> torch.Tensor:
    entry = optimizer.moments.get(number, {})
    tensor = entry.get(moment)
    if not isinstance(tensor, torch.Tensor) or entry["step"] != step:
        raise UserError(
            f"{source / OPTIMIZER_FILE}: parameter {number} has no `{moment}` of AdamW after "
            f"{step} updates; only runs with AdamW from the first step on, without skipped "
            "updates, are imported"
        )
    return tensor.float()


def _settings(
    source: Path, model: Any, groups: Sequence[ParameterGroup], names: list[list[str]]
) -> RecordedSettings:
    where, options = str(source / OPTIMIZER_FILE), [asdict(group) for group in groups]
    beta1, beta2 = shared_option(where, options, "betas")
    common_rate(where, [group.initial_lr for group in groups])
    common_rate(where, [group.lr for group in groups])
    settings = RecordedSettings(
        beta1=beta1,
        beta2=beta2,
        epsilon=shared_option(where, options, "eps"),
        weight_decays=[group.weight_decay for group in groups],
        groups=names,
        gradient_clip=None,
        vocabulary=int(model.config.vocab_size),
        source=None,
        lora=None,
        trains_all=True,
    )
    common_weight_decay(where, settings)
    return settings


def _add_given(record: Path, start: int, given: Given, known_rates: KnownRates) -> Iterator[str]:
    """Write what the user gives, and yield a line for everything that is missing."""
    vocabulary = read_settings(record).vocabulary
    if given.heldout is not None:
        heldout = read_heldout_sequences(given.heldout, given.heldout_labels, vocabulary)
        publish_heldout(record, heldout)
    elif given.heldout_labels is not None:
        raise UserError(f"{given.heldout_labels}: labels without sequences; give --heldout, too")
    if not heldout_path(record).is_file():
        yield "held-out sequences (--heldout FILE.npy): integers of shape (sequences, length)"
    if given.tokens is None:
        if given.labels is not None:
            raise UserError(f"{given.labels}: labels without tokens; give --tokens, too")
        yield (
            "the data order (--tokens FILE.npy): the tokens of the steps from checkpoint-"
            f"{start} on, of shape (steps, sequences, length)"
        )
        return
    tokens = read_steps(given.tokens, given.labels, vocabulary)
    steps = range(start, start + len(tokens))
    rates = (
        known_rates.rates(steps) if given.rates is None else read_rates(given.rates, len(tokens))
    )
    if rates is None:
        yield (
            f"the learning rates (--rates FILE.npy) of the {len(steps)} steps from {start} on; "
            "checkpoints and logs do not determine them"
        )
        return
    remove_steps(record)
    write_steps(record, start, tokens, rates)
