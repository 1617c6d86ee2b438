"""Import the checkpoints of a `Trainer` of transformers as a record."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainorder.errors import UserError
from trainorder.recording.record.heldout import heldout_path, write_heldout
from trainorder.recording.record.layout import (
    MOMENTS,
    PARAMETERS_FILE,
    checkpoint,
    checkpoint_steps,
    checkpoints,
    recorded_steps,
)
from trainorder.recording.record.ownership import check_own_folder, check_separate
from trainorder.recording.record.removal import remove_steps
from trainorder.recording.record.settings import (
    RecordedSettings,
    check_same_run,
    settings_path,
    write_settings,
)
from trainorder.recording.record.states import published_state, write_moments
from trainorder.recording.trainer_import.checkpoint_files import (
    CONFIG_FILE,
    OPTIMIZER_FILE,
    check_checkpoint,
    copy_parameters,
    parameter_dtypes,
    read_optimizer,
    read_rate,
    read_trainer_state,
    trainer_version,
)
from trainorder.recording.trainer_import.given_arrays import (
    read_heldout_sequences,
    read_labelled,
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

    """

    states: list[int]
    steps: range
    missing: list[str]

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
        UserError: a file is missing, damaged or of another kind, or `record` is not a folder for a
            record. Of pickles, only tensors and plain values are read.

    """
    run, record = Path(run), Path(record)
    available = _checkpoints(run)
    check_separate(run, record)
    check_own_folder(record)
    if start is not None and start not in available:
        names = ", ".join(map(str, available))
        raise UserError(f"{checkpoint(run, start)}: missing; start at one of {names}")
    states = [step for step in available if start is None or step >= start]
    for step in states:
        check_checkpoint(checkpoint(run, step))
    model = shape_of_model(checkpoint(run, states[0]))
    for step in states:
        largest = _import_state(run, record, step, model)
    known_rates = _known_rates(run, available, largest)
    missing = list(_add_given(record, states[0], given, known_rates))
    return Imported(states, recorded_steps(record), missing)


def _checkpoints(run: Path) -> list[int]:
    if not run.is_dir():
        raise UserError(f"{run}: no such folder; give the folder of the run")
    steps = checkpoint_steps(checkpoints(run))
    if not steps:
        raise UserError(f"{run}: contains no folder checkpoint-<step>; give the folder of the run")
    return steps


def _known_rates(run: Path, states: Sequence[int], largest: float) -> KnownRates:
    """Return what checkpoints and logs contain about the learning rates."""
    last = checkpoint(run, states[-1])
    log, version = read_trainer_state(last), trainer_version(last)
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
    for name, dtype in parameter_dtypes(source).items():
        if dtype != "F32":
            raise UserError(
                f"{source}: parameter `{name}` has dtype {dtype}, expected F32; a study needs the "
                "parameters that the optimizer updated"
            )
    optimizer = read_optimizer(source)
    groups, state = optimizer["param_groups"], optimizer["state"]
    names = grouped_names(source / OPTIMIZER_FILE, model, groups, state)
    settings = _settings(source, model, groups, names)
    if settings_path(record).exists():
        check_same_run(record, settings)
    moments = {
        f"{name}.{moment}": _moment(source, state, number, moment, step)
        for group, own in zip(groups, names, strict=True)
        for number, name in zip(group["params"], own, strict=True)
        for moment in MOMENTS
    }
    write_settings(record, settings)  # before the states, so that a kill leaves a record
    with published_state(record, step) as private:
        shutil.copyfile(source / CONFIG_FILE, private / CONFIG_FILE)
        copy_parameters(source, private / PARAMETERS_FILE)
        write_moments(private, step, moments)
    return float(groups[0].get("initial_lr", groups[0]["lr"]))


def _moment(
    source: Path, state: Mapping[int, Any], number: int, moment: str, step: int
) -> torch.Tensor:
    entry = state.get(number, {})
    tensor = entry.get(moment)
    if not isinstance(tensor, torch.Tensor) or int(entry.get("step", -1)) != step:
        raise UserError(
            f"{source / OPTIMIZER_FILE}: parameter {number} has no `{moment}` of AdamW after "
            f"{step} updates; only runs with AdamW from the first step on, without skipped "
            "updates, are imported"
        )
    return tensor.float()


def _settings(
    source: Path, model: Any, groups: Sequence[Mapping[str, Any]], names: list[list[str]]
) -> RecordedSettings:
    group = groups[0]
    if any(one.get("amsgrad") or one.get("maximize") for one in groups):
        raise UserError(
            f"{source / OPTIMIZER_FILE}: AdamW with amsgrad or maximize; train without them"
        )
    if "betas" not in group or "eps" not in group:
        raise UserError(
            f"{source / OPTIMIZER_FILE}: not the state of AdamW; record such a run while it trains"
        )
    return RecordedSettings(
        beta1=float(group["betas"][0]),
        beta2=float(group["betas"][1]),
        epsilon=float(group["eps"]),
        weight_decays=[float(one["weight_decay"]) for one in groups],
        groups=names,
        gradient_clip=None,
        vocabulary=int(model.config.vocab_size),
        source=None,
        lora=None,
        trains_all=True,
    )


def _add_given(record: Path, start: int, given: Given, known_rates: KnownRates) -> Iterator[str]:
    """Write what the user gives, and yield a line for everything that is missing."""
    if given.heldout is not None:
        write_heldout(record, read_heldout_sequences(given.heldout, given.heldout_labels))
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
    tokens = read_steps(given.tokens)
    if given.labels is not None:
        tokens = read_labelled(given.labels, tokens)
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
