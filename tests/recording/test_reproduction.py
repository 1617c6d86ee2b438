"""Training again with the settings of a record arrives at every recorded state."""

import numpy as np
import pytest
import torch

from configs import config
from recorded_runs import Run, gpt2, tokens
from trainers import LENGTH, SCHEDULES
from trainorder.config.study_config import parse
from trainorder.data.recorded_corpus import read_recorded_corpus
from trainorder.errors import UserError
from trainorder.orders.user_files import read_reference
from trainorder.recording import RecordingCallback
from trainorder.recording.record.layout import recorded_states
from trainorder.recording.study_config.completion import completed
from trainorder.recording.trainer_import.import_run import Given, import_trainer
from trainorder.training.existing_run.window_states import verification, window_states
from trainorder.training.meter import Meter
from trainorder.training.model import LanguageModel
from trainorder.training.problem import LanguageProblem
from trainorder.training.weight_decay import build_for

TOLERANCE = 1e-3  # the default of `run.tolerance`


def followed(folder, edit=lambda sections: None, **changes):
    """Train from each recorded state to the next one, as a study of the record does.

    Returns the intervals of the window that are verified; all of it must be. A state that is missed
    raises. `changes` are those of a user, and `edit` changes what the record decides.
    """
    sections = completed(config(run={"recording": str(folder)}, **changes))
    edit(sections)
    settings = parse(sections)
    corpus, _ = read_recorded_corpus(settings.corpus, settings.window)
    model = LanguageModel(settings.model, corpus.vocabulary, LENGTH, 0, torch.float32)
    scale, window = settings.run.loss_scale or 1.0, settings.window
    problem = LanguageProblem(model, corpus, Meter(), loss_scale=scale)
    optimizer = build_for(model, settings.optimizer, window.horizon)
    states, schedule = recorded_states(folder), read_reference(None, window)
    steps = [state.step for state in window_states(
        folder, states, schedule, problem, optimizer, TOLERANCE
    )]  # fmt: skip
    assert steps == list(range(window.warmup_steps, window.horizon + 1))
    intervals = verification(states, window.horizon)
    assert not intervals["stored"] + intervals["unverified"]
    return intervals["verified"]


@pytest.mark.parametrize("optimizer", ["adamw_torch", "adamw_torch_fused"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_recorded_trainer_is_reproduced(tmp_path, make_trainer, rows, schedule, optimizer):
    options = {"lr_scheduler_type": schedule, "optim": optimizer, **SCHEDULES[schedule]}
    recording = RecordingCallback(tmp_path / "record", every=2, heldout=rows[:4])
    make_trainer(tmp_path / "run", recording, weight_decay=1.0, **options).train()
    assert followed(tmp_path / "record") == [[0, 2], [2, 4], [4, 6]]


@pytest.mark.parametrize("form", [{"fused": True}, {"foreach": True}], ids=str)
def test_a_recorded_loop_is_reproduced(tmp_path, form):
    run = Run(decays=(1.0, 0.0), **form)
    with run.recorder(tmp_path, heldout=tokens()[0, 0]) as record:
        run.train(record)
    assert len(followed(tmp_path)) == 3


def test_imported_checkpoints_are_reproduced(tmp_path, make_trainer):
    trainer = make_trainer(tmp_path / "run", logging_strategy="steps", logging_steps=1)
    trainer.train()
    batches = torch.stack([batch["input_ids"] for batch in trainer.get_train_dataloader()])
    steps = batches.view(6, 2, *batches.shape[1:])  # of two micro-batches
    np.save(tmp_path / "tokens.npy", steps[2:])
    np.save(tmp_path / "heldout.npy", batches[0])
    given = Given(tokens=str(tmp_path / "tokens.npy"), heldout=str(tmp_path / "heldout.npy"))
    imported = import_trainer(tmp_path / "run", tmp_path / "record", given)
    assert not imported.missing

    clip = {"optimizer__gradient_clip": 1.0}  # which no checkpoint tells
    assert followed(tmp_path / "record", **clip) == [[0, 2], [2, 4]]


def test_masked_positions_are_no_targets_in_the_study(tmp_path):
    run = Run(decays=(1.0, 0.0))
    with run.recorder(tmp_path, heldout=tokens()[0, 0]) as record:
        for part in tokens()[:, 0]:
            labels = part.clone()
            labels[:, :4] = -100
            record.batch(part, labels)
            run.model(input_ids=part, labels=labels).loss.backward()
            run.optimizer.step()
            run.schedule.step()
            run.optimizer.zero_grad()
    assert len(followed(tmp_path)) == 3


def test_sequences_that_the_trainer_weights_by_their_targets_raise_before_the_first_update(
    tmp_path, make_trainer, rows
):
    recording = RecordingCallback(tmp_path / "record", heldout=rows[:4])
    trainer = make_trainer(tmp_path / "run", recording, max_steps=2)
    labels = [row["labels"].clone() for row in rows]
    for number, label in enumerate(labels):
        label[: 1 + number % 3] = -100
    pairs = zip(rows, labels, strict=True)
    trainer.train_dataset = [{"input_ids": row["input_ids"], "labels": one} for row, one in pairs]
    with pytest.raises(UserError, match=r"sequences have . to . targets, which"):
        trainer.train()
    assert trainer.state.global_step == 0


def test_the_scale_of_the_loss_is_that_which_the_trainer_used(tmp_path, make_trainer, rows):
    """The Trainer divides the losses of some models by all tokens, also by those without a loss."""
    recording = RecordingCallback(tmp_path / "record", every=2, heldout=rows[:4])
    make_trainer(tmp_path / "run", recording, model=gpt2()).train()
    assert len(followed(tmp_path / "record")) == 3
    run = completed(config(run={"recording": str(tmp_path / "record")}))["run"]
    assert run["loss_scale"] == (LENGTH - 1) / LENGTH
    with pytest.raises(UserError, match="misses it by"):
        followed(tmp_path / "record", with_loss_scale_of_one)


def with_loss_scale_of_one(sections):
    sections["run"]["loss_scale"] = 1.0


def without_clipping(sections):
    sections["optimizer"]["gradient_clip"] = None


def with_other_rates(sections):
    sections["optimizer"]["rates"] = [2 * rate for rate in sections["optimizer"]["rates"]]


def with_decay_of_all(sections):
    sections["optimizer"]["no_decay"] = None


DIFFERENCES = {
    without_clipping: "optimizer.gradient_clip",
    with_other_rates: "optimizer.learning_rate",
    with_decay_of_all: "weight_decay, no_decay",
}


@pytest.mark.parametrize("edit", DIFFERENCES, ids=lambda edit: edit.__name__)
def test_each_recorded_setting_is_needed(tmp_path, make_trainer, rows, edit):
    recording = RecordingCallback(tmp_path / "record", every=2, heldout=rows[:4])
    make_trainer(tmp_path / "run", recording, weight_decay=1.0, max_grad_norm=0.5).train()
    with pytest.raises(UserError, match=DIFFERENCES[edit]):
        followed(tmp_path / "record", edit)


def test_units_of_a_batch_that_comes_inside_the_update_are_recorded(tmp_path):
    """Lightning runs forward and backward passes inside `optimizer.step(closure)`."""
    run = Run()
    with run.recorder(tmp_path, heldout=tokens()[0, 0]) as record:
        for part in tokens()[:, 0]:

            def closure(part=part):
                run.optimizer.zero_grad()
                record.batch(part)
                loss = run.model(input_ids=part, labels=part).loss
                loss.backward()
                return loss

            run.optimizer.step(closure)
            run.schedule.step()
    assert np.array_equal(read_recorded_units(tmp_path), tokens()[:, 0])
    assert len(followed(tmp_path)) == 3


def read_recorded_units(folder):
    settings = parse(completed(config(run={"recording": str(folder)})))
    return read_recorded_corpus(settings.corpus, settings.window)[0].units
