"""What no study can train again raises in the first update, and later ends the recording."""

import pytest
import torch

from recorded_runs import LENGTH, MICRO, SIZE, STEPS, VOCABULARY, Run, gpt2, tokens
from trainorder.errors import UserError
from trainorder.recording import RecordingCallback
from trainorder.recording.record.layout import recorded_states, recorded_steps

PART = tokens()[0, 0]


def with_mask(*padded):
    mask = torch.ones_like(PART)
    mask[0, list(padded)] = 0
    return {"tokens": PART, "attention_mask": mask}


def with_labels(ignored, **changes):
    labels = PART.clone()
    labels[0, ignored] = -100
    return {"tokens": PART, "labels": labels, **changes}


POSITIONS = torch.arange(LENGTH).remainder(5).expand(SIZE, -1)  # of two packed texts
WRONG = {
    "labels in place of tokens": ({"tokens": PART - 100}, "expected 0 or more"),
    "another vocabulary": ({"tokens": PART + VOCABULARY}, "but the model has the tokens 0 to 18"),
    "a sequence without a target": (with_labels(slice(1, None)), "a sequence has no target"),
    "uneven weights": (with_labels([3, 4], divisor=9.0), "sequences have 5 to 7 targets, which"),
    "padding on the left": (with_mask(0, 1), "padding is before tokens; pad on the right"),
    "padding in the middle": (with_mask(3), "padding is before tokens"),
    "padding as targets": (with_mask(7), "padding is a target of the loss"),
    "a mask of pairs": ({"tokens": PART, "attention_mask": torch.ones(3, 1, 8, 8)}, "only masks"),
    "packed texts": ({"tokens": PART, "position_ids": POSITIONS}, "position_ids are not 0 to 7"),
}


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize("case", WRONG)
def test_a_batch_that_no_study_can_train_on_raises_in_the_first_update(tmp_path, case, start):
    given, message = WRONG[case]
    with (
        pytest.raises(UserError, match=f"^recording: batch: .*{message}") as error,
        Run().recorder(tmp_path, start=start) as record,
    ):
        record.batch(**given)
    assert "\n" not in str(error.value)
    assert not recorded_steps(tmp_path)


@pytest.mark.parametrize("case", WRONG)
def test_a_later_batch_that_no_study_can_train_on_ends_the_recording(tmp_path, case):
    run, (given, message) = Run(), WRONG[case]
    with run.recorder(tmp_path) as record:
        run.train(record, 0, 2)
        with pytest.warns(RuntimeWarning, match=f"the record ends after 2 updates: .*{message}"):
            record.batch(**given)
        run.train(record, 2)
    assert recorded_steps(tmp_path) == range(2)


def test_batches_with_all_inputs_of_a_model_are_recorded(tmp_path):
    run, mask = Run(), torch.ones_like(PART)
    mask[:, -2:] = 0  # padding on the right, which is no target
    labels, positions = PART.masked_fill(mask == 0, -100), torch.arange(LENGTH)
    with run.recorder(tmp_path) as record:
        for divisor, shape in ((None, (1, -1)), (15.0, (SIZE, -1))):
            ids = positions.expand(shape)
            record.batch(PART, labels, divisor=divisor, attention_mask=mask, position_ids=ids)
            run.model(input_ids=PART, labels=labels).loss.backward()
            run.optimizer.step()
    assert recorded_steps(tmp_path) == range(2)


UNEQUAL = {
    "a short batch": ([PART, PART[:2]], "has micro-batches of 2 x 8 tokens, expected 3 x 8"),
    "another length": ([PART, PART[:, :5]], "has micro-batches of 3 x 5 tokens, expected 3 x 8"),
}


@pytest.mark.parametrize("case", UNEQUAL)
def test_a_micro_batch_of_another_shape_raises_in_the_first_update(tmp_path, case):
    batches, message = UNEQUAL[case]
    with pytest.raises(UserError, match=message), Run().recorder(tmp_path) as record:
        for batch in batches:
            record.batch(batch)


def test_an_update_of_fewer_micro_batches_ends_the_recording(tmp_path):
    run = Run()
    with run.recorder(tmp_path) as record:
        run.train(record, 0, 3)
        record.batch(PART)
        run.model(input_ids=PART, labels=PART).loss.backward()
        with pytest.warns(RuntimeWarning, match=r"update: has micro-batches of 3 x 8 tokens, exp"):
            run.optimizer.step()
    assert recorded_steps(tmp_path) == range(3)


def test_a_resumed_run_with_other_batches_raises_in_its_first_update(tmp_path):
    run = Run()
    with run.recorder(tmp_path) as record:
        run.train(record, 0, 3)
    with (
        pytest.raises(UserError, match=r"has micro-batches of 2 x 8 tokens, expected 3 x 8"),
        run.recorder(tmp_path) as record,
    ):
        record.batch(PART[:2])


def test_weights_of_all_recorded_updates_are_equal(tmp_path):
    run, labels = Run(), PART.clone()
    labels[:, :4] = -100
    with run.recorder(tmp_path) as record:
        record.batch(PART, divisor=21.0)
        run.model(input_ids=PART, labels=PART).loss.backward()
        run.optimizer.step()
        with pytest.warns(RuntimeWarning, match="sequences have 4 to 7 targets"):
            record.batch(PART, labels, divisor=12.0)


@pytest.mark.parametrize("start", [0, 2])
def test_heldout_sequences_of_another_length_raise_in_the_first_recorded_update(tmp_path, start):
    run = Run()
    with run.recorder(tmp_path, start=start, heldout=PART[:, :5]) as record:
        run.train(record, 0, start)
        message = "recording: heldout: sequences have 5 tokens, but those of the run 8"
        if start:
            with pytest.warns(RuntimeWarning, match=message):
                record.batch(PART)
        else:
            with pytest.raises(UserError, match=message):
                record.batch(PART)


def with_two_rates(run):
    run.optimizer.param_groups[0]["lr"] = 1e-3


def with_two_decays(run):
    run.optimizer.param_groups[1]["weight_decay"] = 0.2


GROUPS = {with_two_rates: "learning rates 0.001, 0.01", with_two_decays: "weight decays 0.1, 0.2"}


@pytest.mark.parametrize("change", GROUPS, ids=lambda change: change.__name__)
def test_parameter_groups_that_a_study_does_not_have_raise_before_the_run(tmp_path, change):
    run = Run()
    change(run)
    with pytest.raises(UserError, match=GROUPS[change]), run.recorder(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("heldout", [{"mixed": PART}, PART - 100, PART + VOCABULARY], ids=str)
def test_wrong_heldout_sequences_do_not_damage_the_record_of_an_earlier_run(tmp_path, heldout):
    run = Run()
    start = run.save()
    with run.recorder(tmp_path) as record:
        run.train(record)
    run.restore(start)
    with pytest.raises(UserError, match=r"^heldout: "), run.recorder(tmp_path, heldout=heldout):
        pass
    assert recorded_steps(tmp_path) == range(STEPS), "the error came after steps were removed"
    assert recorded_states(tmp_path) == [0, 3, 6, 7]


TRAINER_INPUTS = {
    "left padding": ("attention_mask", [0] + [1] * (LENGTH - 1), "padding is before tokens"),
    "packed": ("position_ids", [0, 1, 2, 3, 0, 1, 2, 3], "position_ids are not 0 to 7"),
}


@pytest.mark.parametrize("case", TRAINER_INPUTS)
def test_a_trainer_with_inputs_that_a_study_does_not_have_raises_in_its_first_update(
    tmp_path, make_trainer, rows, case
):
    key, values, message = TRAINER_INPUTS[case]
    trainer = make_trainer(tmp_path / "run", RecordingCallback(tmp_path / "record"), model=gpt2())
    trainer.train_dataset = [{**row, key: torch.tensor(values)} for row in rows]
    with pytest.raises(UserError, match=message):
        trainer.train()
    assert trainer.state.global_step == 0


def test_a_trainer_with_a_short_last_batch_keeps_the_updates_before_it(
    tmp_path, make_trainer, rows
):
    trainer = make_trainer(tmp_path / "run", RecordingCallback(tmp_path / "record"), max_steps=3)
    trainer.train_dataset = rows[: 2 * MICRO * SIZE + 1]
    with pytest.warns(RuntimeWarning, match=r"ends after 2 updates: .* 1 x 8 tokens, expected 3"):
        trainer.train()
    assert trainer.state.global_step == 3
    assert recorded_steps(tmp_path / "record") == range(2)
