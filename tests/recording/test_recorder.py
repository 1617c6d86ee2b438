"""A loop is recorded with its states, batches and rates, also if it is killed and resumed."""

import multiprocessing
import os
import signal
import warnings

import numpy as np
import pytest
import torch

from recorded_runs import SIZE, STEPS, Run, model_of, tokens
from trainers import LENGTH, VOCABULARY
from trainorder.errors import UserError
from trainorder.recording.record.heldout import read_heldout
from trainorder.recording.record.layout import recorded_states, recorded_steps
from trainorder.recording.record.settings import read_settings
from trainorder.recording.record.steps import read_step
from trainorder.training.existing_run.stored_state import read_checkpoint
from trainorder.training.optimizer import MOMENTS

FORMS = {"fused": {"fused": True}, "foreach": {"foreach": True}, "plain": {"foreach": False}}


@pytest.fixture(params=FORMS)
def recorded(request, tmp_path):
    """Return the folder of a record and its run, for each form of AdamW."""
    run = Run(**FORMS[request.param])
    with run.recorder(tmp_path / "record", heldout=tokens()[0, 0]) as record:
        run.train(record)
    return tmp_path / "record", run


def test_states_are_recorded_at_the_start_every_few_steps_and_at_the_end(recorded):
    folder, run = recorded
    assert recorded_states(folder) == [0, 3, 6, 7]
    model = model_of(folder)
    for step in recorded_states(folder):
        state = read_checkpoint(folder, step, model)
        assert torch.equal(state.parameters, run.states[step]), f"parameters of step {step}"
        assert state.step == step
    moments = run.optimizer.state
    for name in MOMENTS[1:]:
        expected = torch.cat([moments[p][name].flatten() for p in run.model.parameters()])
        assert torch.equal(getattr(state, name), expected), f"{name} at the end"


def test_each_step_has_its_micro_batches_and_the_rates_that_it_used(recorded):
    folder, _ = recorded
    assert recorded_steps(folder) == range(STEPS)
    for number in range(STEPS):
        step = read_step(folder, number)
        assert np.array_equal(step.batches, tokens()[number]), f"the batches of step {number}"
        assert step.rates == pytest.approx([1e-2 / (1 + number)] * 2, rel=1e-12)
        assert step.loss_scale is None


def test_the_settings_have_the_decay_of_each_parameter(recorded):
    folder, run = recorded
    settings = read_settings(folder)
    assert (settings.beta1, settings.beta2, settings.epsilon) == (0.9, 0.999, 1e-8)
    assert settings.weight_decays == [0.1, 0.0]
    assert settings.groups[1] == [n for n, p in run.model.named_parameters() if p.ndim == 1]
    assert settings.vocabulary == VOCABULARY
    assert settings.trains_all
    [(_, heldout)] = read_heldout(folder).items()
    assert np.array_equal(heldout, tokens()[0, 0])


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class KilledError(Exception):
    """Ends a loop in the middle."""


@pytest.mark.parametrize("resumed", [0, 2, 3, 5])
def test_a_killed_and_resumed_run_has_the_record_of_an_uninterrupted_one(tmp_path, resumed):
    whole = Run()
    with whole.recorder(tmp_path / "whole") as record:
        whole.train(record)
    killed = Run()
    with pytest.raises(KilledError), killed.recorder(tmp_path / "killed") as record:
        killed.train(record, 0, resumed)
        saved = killed.save()
        killed.train(record, resumed, 5)
        record.batch(tokens()[5, 0])
        raise KilledError
    again = Run(seed=8) if resumed else Run()
    again.restore(saved)
    with again.recorder(tmp_path / "killed") as record:
        again.train(record, resumed)
    one, other = content(tmp_path / "whole"), content(tmp_path / "killed")
    extra = {f"checkpoint-{resumed}/{name}.safetensors" for name in ("model", "optimizer")}
    assert other.keys() - one.keys() <= extra, "more is left than the state it resumed from"
    assert not one.keys() - other.keys(), "a file of the record is lost"
    for name in one:
        assert one[name] == other[name], f"{name} differs from that of an uninterrupted run"


def test_a_run_that_diverts_from_its_record_replaces_what_followed(tmp_path):
    run = Run()
    with run.recorder(tmp_path) as record:
        run.train(record, 0, 4)
        saved = run.save()
        run.train(record, 4)
    run.restore(saved)
    with run.recorder(tmp_path) as record:
        run.train(record, 4, 5)
    assert recorded_steps(tmp_path) == range(5), "steps of the abandoned run are left"
    assert recorded_states(tmp_path) == [0, 3, 4, 5], "states of the abandoned run are left"


def test_only_the_window_is_recorded(tmp_path):
    run = Run()
    with run.recorder(tmp_path, start=2, end=6) as record:
        run.train(record)
    assert recorded_steps(tmp_path) == range(2, 6)
    assert recorded_states(tmp_path) == [2, 5, 6]
    model = model_of(tmp_path)
    for step in (2, 5, 6):
        state = read_checkpoint(tmp_path, step, model)
        assert torch.equal(state.parameters, run.states[step])
    with run.recorder(tmp_path, start=2, end=6):
        pass
    assert recorded_steps(tmp_path) == range(2, 6), "a later start of the script removed the record"


@pytest.mark.parametrize(
    ("part", "named"), [({"end": STEPS + 1}, "end=8"), ({"start": STEPS}, "start=7")]
)
def test_a_loop_that_ends_before_the_part_to_record_warns(tmp_path, part, named):
    run = Run()
    with (
        pytest.warns(RuntimeWarning, match=f"ended after {STEPS} updates, before {named}"),
        run.recorder(tmp_path / "record", **part) as record,
    ):
        run.train(record)


def test_masked_positions_are_marked(tmp_path):
    run, part = Run(), tokens()[0, 0]
    labels = part.clone()
    labels[:, :2] = -100
    with run.recorder(tmp_path) as record:
        record.batch(part, labels, divisor=12)
        run.model(input_ids=part, labels=labels).loss.backward()
        run.optimizer.step()
    step = read_step(tmp_path, 0)
    assert np.array_equal(step.batches[0], torch.where(labels == -100, ~part, part))
    assert step.loss_scale == SIZE * (LENGTH - 2) / 12


def one_step(run, record, part=None):
    record.batch(tokens()[0, 0] if part is None else part)
    run.model(input_ids=tokens()[0, 0], labels=tokens()[0, 0]).loss.backward()
    run.optimizer.step()


def test_an_error_after_the_first_step_ends_the_recording_and_not_the_training(tmp_path):
    run = Run()
    with run.recorder(tmp_path) as record:
        one_step(run, record)
        with pytest.warns(RuntimeWarning, match=r"the record ends after 1 updates: .* integers"):
            one_step(run, record, part=torch.zeros(2))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            one_step(run, record)
    assert recorded_steps(tmp_path) == range(1)
    assert recorded_states(tmp_path) == [0]


def test_a_loop_that_passes_no_batch_raises_at_its_first_step(tmp_path):
    run = Run()
    run.model(input_ids=tokens()[0, 0], labels=tokens()[0, 0]).loss.backward()
    with pytest.raises(UserError, match=r"call record\.batch"), run.recorder(tmp_path):
        run.optimizer.step()


def with_dropout(run):
    run.model.model.layers[0].self_attn.attention_dropout = 0.1


def in_half_precision(run):
    run.model.bfloat16()


def frozen_but_optimized(run):
    run.model = torch.nn.Sequential(torch.nn.Linear(2, 2))


def partly_optimized(run):
    run.optimizer = torch.optim.AdamW(list(run.model.parameters())[1:])


UNSUPPORTED = {
    with_dropout: "dropout: `model.layers.0.self_attn.attention_dropout` is 0.1",
    in_half_precision: "is bfloat16, expected float32",
    frozen_but_optimized: "Sequential is not a causal language model",
    partly_optimized: "is not in the optimizer",
}


@pytest.mark.parametrize("change", UNSUPPORTED, ids=lambda change: change.__name__)
def test_a_run_that_no_study_can_train_again_raises_before_it_starts(tmp_path, change):
    run = Run()
    change(run)
    with pytest.raises(UserError, match=UNSUPPORTED[change]) as error, run.recorder(tmp_path):
        pass
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir()), "a record was started"


def test_another_run_does_not_enter_a_record(tmp_path):
    run = Run()
    with run.recorder(tmp_path) as record:
        run.train(record, 0, 4)
    saved = run.save()
    run.train(Ignored(), 4, 6)
    with pytest.raises(UserError, match=r"ends after 4 updates, but the run resumes after 6"):
        run.recorder(tmp_path).__enter__()
    run.restore(saved)
    with torch.no_grad():
        run.model.model.norm.weight += 1
    with pytest.raises(UserError, match=r"checkpoint-4/model.safetensors: .* another run"):
        run.recorder(tmp_path).__enter__()
    with pytest.raises(UserError, match=r"record.json: `gradient_clip` was None and is now 1.0"):
        run.recorder(tmp_path, gradient_clip=1.0).__enter__()


class Ignored:
    """A recorder that records nothing."""

    def batch(self, part):
        pass


def killed_at(folder, count):
    """Train in a process that is killed at its `count`-th rename of a file or folder."""
    renames = 0
    rename = os.replace

    def replace(source, target):
        nonlocal renames
        renames += 1
        if renames == count:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)

    os.replace = replace
    run = Run()
    with run.recorder(folder, every=2) as record:
        run.train(record)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_a_kill_at_any_moment_leaves_a_record_that_a_new_start_completes(tmp_path, count):
    child = multiprocessing.get_context("fork").Process(target=killed_at, args=(tmp_path, count))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    steps, states = recorded_steps(tmp_path), recorded_states(tmp_path)
    assert all(state <= steps.stop for state in states), "a state is ahead of the steps"
    run = Run()
    with run.recorder(tmp_path, every=2) as record:
        run.train(record)
    assert recorded_steps(tmp_path) == range(STEPS)
    assert recorded_states(tmp_path) == [0, 2, 4, 6, 7]
    left = [path.name for path in tmp_path.rglob("*") if path.name.startswith(".")]
    assert not left, "files of the killed process are left"
