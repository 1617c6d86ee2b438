"""A recorded run of the Trainer of transformers, and of a loop with accelerate."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from trainers import LENGTH, SCHEDULES, llama
from trainorder.errors import UserError
from trainorder.recording import Recorder, RecordingCallback
from trainorder.recording.record.layout import recorded_states, recorded_steps
from trainorder.recording.record.settings import read_settings
from trainorder.recording.record.steps import read_step

STEPS, PARTS, SIZE = 6, 2, 3  # of `make_trainer`


@pytest.mark.parametrize("optimizer", ["adamw_torch", "adamw_torch_fused"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_trainer_records_its_rates_batches_and_decay(
    tmp_path, rows, make_trainer, schedule, optimizer
):
    options = {"optim": optimizer, "lr_scheduler_type": schedule, **SCHEDULES[schedule]}
    callback = RecordingCallback(tmp_path / "record", every=2, heldout=rows[:4])
    run = make_trainer(tmp_path / "run", callback, eval_strategy="steps", eval_steps=1, **options)
    run.train()
    record = tmp_path / "record"
    assert recorded_steps(record) == range(STEPS)
    assert recorded_states(record) == [0, 2, 4, 6]
    multipliers = [run.lr_scheduler.lr_lambdas[0](step) for step in range(STEPS)]
    seen = []
    for number, factor in enumerate(multipliers):
        step = read_step(record, number)
        assert step.rates == pytest.approx([1e-2 * factor] * 2)
        assert [batch.shape for batch in step.batches] == [(SIZE, LENGTH)] * PARTS, (
            "a step is not its micro-batches"
        )
        assert step.loss_scale == pytest.approx(1.0)
        seen += [tuple(row) for batch in step.batches for row in batch.tolist()]
    assert sorted(seen) == sorted(tuple(row["input_ids"].tolist()) for row in rows)
    settings = read_settings(record)
    assert settings.gradient_clip == 1.0
    assert settings.weight_decays == [0.1, 0.0]
    assert all("norm" in name for name in settings.groups[1])


@pytest.mark.parametrize(
    ("part", "named"), [({"end": STEPS + 1}, f"end={STEPS + 1}"), ({"start": STEPS}, "start=6")]
)
def test_a_part_that_the_run_does_not_reach_is_an_error_before_it_trains(
    tmp_path, rows, make_trainer, part, named
):
    """Else the training would be paid for, and the record would be empty or too short."""
    callback = RecordingCallback(tmp_path / "record", heldout=rows[:4], **part)
    run = make_trainer(tmp_path / "run", callback)
    with pytest.raises(UserError, match=f"{named}, but the Trainer makes {STEPS} updates"):
        run.train()
    assert run.state.global_step == 0
    assert not (tmp_path / "record").exists()


def test_a_trainer_that_is_killed_and_resumed_keeps_one_record(tmp_path, make_trainer):
    options = {"seed": 3, "data_seed": 3, "lr_scheduler_type": "linear"}
    whole = RecordingCallback(tmp_path / "whole", every=3)
    make_trainer(tmp_path / "run", whole, **options).train()
    killed = make_trainer(
        tmp_path / "again", RecordingCallback(tmp_path / "record", every=3), KillsAt(5),
        **options,
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    assert recorded_steps(tmp_path / "record") == range(5)
    resumed = make_trainer(
        tmp_path / "again", RecordingCallback(tmp_path / "record", every=3), **options
    )
    resumed.train(resume_from_checkpoint=True)  # from checkpoint-4
    assert recorded_states(tmp_path / "record") == [0, 3, 4, 6]
    for number in range(STEPS):
        one, other = (read_step(tmp_path / name, number) for name in ("whole", "record"))
        assert np.array_equal(one.batches, other.batches), f"step {number} is another"
        assert one.rates == other.rates
    for name in ("model", "optimizer"):
        file = f"checkpoint-{STEPS}/{name}.safetensors"
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "record" / file).read_bytes()


def test_the_last_state_is_not_that_of_the_best_model(tmp_path, make_trainer):
    options = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    best = {"load_best_model_at_end": True, "greater_is_better": True}  # the first one is best
    callback = RecordingCallback(tmp_path / "record", every=4)
    make_trainer(tmp_path / "run", callback, **options, **best).train()
    name = f"checkpoint-{STEPS}/model.safetensors"
    ours, theirs = (load_file(tmp_path / folder / name) for folder in ("record", "run"))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours), "the best model was recorded"


class KillsAt(RecordingCallback):
    """Interrupts a Trainer as Ctrl-C does."""

    def __init__(self, step):
        self.step = step

    def on_train_begin(self, *_, **__):
        pass

    def on_step_end(self, args, state, control, **_):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def test_a_trainer_without_its_optimizer_state_is_another_run(tmp_path, make_trainer):
    make_trainer(tmp_path, save_only_model=True, max_steps=2).train()
    run = make_trainer(tmp_path, RecordingCallback(tmp_path / "record"))
    with pytest.raises(UserError, match=r"at step 2, but its optimizer has made 0 updates"):
        run.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [("n_gpu", 2, "2 GPUs in one process"), ("label_smoothing_factor", 0.1, "label smoothing")],
)
def test_a_trainer_whose_batches_or_loss_a_study_does_not_have_raises(argument, value, message):
    arguments = SimpleNamespace(
        **{"n_gpu": 1, "label_smoothing_factor": 0.0, "output_dir": "run", argument: value}
    )
    with pytest.raises(UserError, match=message):
        RecordingCallback("record").on_train_begin(
            arguments, None, None, model=None, optimizer=None
        )


def test_a_loop_with_accelerate_is_recorded(tmp_path, rows):
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=PARTS)
    model = llama()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model, optimizer = accelerator.prepare(model, optimizer)
    batches = torch.stack([row["input_ids"] for row in rows]).view(-1, SIZE, LENGTH)
    with Recorder(tmp_path, model, optimizer, every=2) as record:
        for tokens in batches:
            with accelerator.accumulate(model):
                record.batch(tokens)
                accelerator.backward(model(input_ids=tokens, labels=tokens).loss)
                optimizer.step()
                optimizer.zero_grad()
    assert recorded_steps(tmp_path) == range(STEPS)
    assert recorded_states(tmp_path) == [0, 2, 4, 6]
    for number in range(STEPS):
        expected = batches[number * PARTS : (number + 1) * PARTS]
        assert np.array_equal(read_step(tmp_path, number).batches, expected)
