"""A record describes the updates that happened: what a loop discards is not recorded."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recorded_runs import MICRO, Run, model_of, tokens
from trainorder.errors import UserError
from trainorder.recording import RecordingCallback
from trainorder.recording.record.layout import recorded_states, recorded_steps
from trainorder.recording.record.steps import read_step
from trainorder.training.existing_run.stored_state import read_checkpoint

FORMS = {"fused": {"fused": True}, "foreach": {"foreach": True}}
OVERFLOW = 2.0**127  # of a loss scale: gradients become infinite
PLACES = ["after the update", "before the forward pass", "before the backward pass"]
HAPPENED = [0, 2, 4]  # of the groups of micro-batches; the others are discarded


def recorded_tokens(folder):
    return [read_step(folder, number).batches for number in recorded_steps(folder)]


def cpu_scaler():
    """Return a scaler whose scale changes only where a test sets it."""
    scaler = torch.amp.GradScaler("cpu", init_scale=1.0, growth_interval=1000)
    scaler.scale(torch.ones(()))  # the scale is created at its first use
    return scaler


def train_scaled(run, record, *, clearing, set_to_none):
    """Train with gradient scaling, which skips the updates that are not in `HAPPENED`."""
    scaler = cpu_scaler()

    def clear(place, part=0):
        if place == clearing and part == 0:
            run.optimizer.zero_grad(set_to_none=set_to_none)

    for number in range(5):
        scaler.update(1.0 if number in HAPPENED else OVERFLOW)
        for part, batch in enumerate(tokens()[number]):
            record.batch(batch)
            clear("before the forward pass", part)
            loss = run.model(input_ids=batch, labels=batch).loss / MICRO
            clear("before the backward pass", part)
            scaler.scale(loss).backward()
        scaler.step(run.optimizer)
        scaler.update()
        clear("after the update")


@pytest.mark.parametrize("set_to_none", [True, False], ids=["to none", "to zero"])
@pytest.mark.parametrize("clearing", PLACES)
@pytest.mark.parametrize("form", FORMS)
def test_batches_of_an_update_that_gradient_scaling_skips_are_in_no_update(
    tmp_path, form, clearing, set_to_none
):
    run = Run(**FORMS[form])
    with run.recorder(tmp_path) as record:
        train_scaled(run, record, clearing=clearing, set_to_none=set_to_none)
    assert recorded_steps(tmp_path) == range(len(HAPPENED)), "a skipped update is recorded"
    for number, batches in zip(HAPPENED, recorded_tokens(tmp_path), strict=True):
        assert np.array_equal(batches, tokens()[number]), (
            f"update {number} is recorded with batches that had no part in it"
        )
    assert recorded_states(tmp_path) == [0, 3]
    state = read_checkpoint(tmp_path, 3, model_of(tmp_path))
    assert torch.equal(state.parameters, run.vectors())


def train_discarding(run, record, set_to_none):
    """Train, and discard the gradients of the groups that are not in `HAPPENED`."""
    for number in range(5):
        for batch in tokens()[number]:
            record.batch(batch)
            run.model(input_ids=batch, labels=batch).loss.backward()
        if number in HAPPENED:
            run.optimizer.step()
        run.optimizer.zero_grad(set_to_none=set_to_none)


@pytest.mark.parametrize("set_to_none", [True, False], ids=["to none", "to zero"])
def test_batches_whose_gradients_the_loop_clears_are_in_no_update(tmp_path, set_to_none):
    run = Run()
    with run.recorder(tmp_path) as record:
        train_discarding(run, record, set_to_none)
    assert len(recorded_steps(tmp_path)) == len(HAPPENED)
    for number, batches in zip(HAPPENED, recorded_tokens(tmp_path), strict=True):
        assert np.array_equal(batches, tokens()[number])


def test_micro_batches_without_gradients_of_some_parameters_stay_in_their_update(tmp_path):
    run = Run()
    first = next(run.model.parameters())
    with run.recorder(tmp_path) as record:
        for batch in tokens()[0]:
            record.batch(batch)
            run.model(input_ids=batch, labels=batch).loss.backward()
            first.grad = None  # as a loop that freezes a part for a while
        run.optimizer.step()
    [batches] = recorded_tokens(tmp_path)
    assert np.array_equal(batches, tokens()[0]), "one parameter decided for all"


def test_batches_that_are_all_noted_before_one_backward_pass_stay_in_their_update(tmp_path):
    run = Run()
    with run.recorder(tmp_path) as record:
        for batch in tokens()[0]:
            record.batch(batch)
        losses = [run.model(input_ids=batch, labels=batch).loss for batch in tokens()[0]]
        sum(losses).backward()
        run.optimizer.step()
    [batches] = recorded_tokens(tmp_path)
    assert np.array_equal(batches, tokens()[0])


class WithScaler(RecordingCallback):
    """Gives the Trainer a scaler whose scale overflows in some steps, as fp16 has on a GPU."""

    def __init__(self, folder):
        super().__init__(folder)
        self.scaler = cpu_scaler()

    def on_step_begin(self, args, state, control, **_):
        self.scaler.update(1.0 if state.global_step in HAPPENED else OVERFLOW)


def test_a_trainer_that_skips_updates_has_the_record_of_the_others(tmp_path, make_trainer):
    callback = WithScaler(tmp_path / "record")
    trainer = make_trainer(tmp_path / "run", callback, max_grad_norm=0.0)
    trainer.accelerator.scaler = callback.scaler
    trainer.train()
    batches = [batch["input_ids"] for batch in trainer.get_train_dataloader()]
    steps = torch.stack(batches).view(-1, MICRO, *batches[0].shape)
    assert recorded_steps(tmp_path / "record") == range(len(HAPPENED))
    for number, batches in zip(HAPPENED, recorded_tokens(tmp_path / "record"), strict=True):
        assert np.array_equal(batches, steps[number])


@pytest.mark.parametrize(
    ("count", "fp16", "continues"),
    [(2, True, True), (3, False, True), (2, False, False), (4, True, False), (0, True, False)],
)
def test_a_resumed_trainer_has_fewer_updates_than_steps_only_if_fp16_skipped_some(
    tmp_path, count, fp16, continues
):
    run = Run()
    for _ in range(count):
        run.model(input_ids=tokens()[0, 0], labels=tokens()[0, 0]).loss.backward()
        run.optimizer.step()
    arguments = SimpleNamespace(
        n_gpu=1, label_smoothing_factor=0.0, max_grad_norm=1.0, fp16=fp16, output_dir="run"
    )
    parts = {"model": run.model, "optimizer": run.optimizer}
    callback, state = RecordingCallback(tmp_path), SimpleNamespace(global_step=3, max_steps=9)
    if continues:
        callback.on_train_begin(arguments, state, None, **parts)
        assert recorded_states(tmp_path) == [count]
    else:
        with pytest.raises(UserError, match=f"at step 3, but its optimizer has made {count} up"):
            callback.on_train_begin(arguments, state, None, **parts)
