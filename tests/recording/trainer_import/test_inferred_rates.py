"""Rates of an imported run are those that its updates used, whichever rate its log has."""

import json
import math

import numpy as np
import pytest
import torch

from trainorder.recording.record.steps import read_step
from trainorder.recording.trainer_import.import_run import Given, import_trainer
from trainorder.recording.trainer_import.inferred_rates import (
    KnownRates,
    rate_readings,
    tells_the_logged_step,
)

HORIZON, WARMUP = 40, 4
STEPS = range(20, 30)


def cosine(step):
    share = (step - WARMUP) / (HORIZON - WARMUP)
    return step / WARMUP if step < WARMUP else 0.5 * (1 + math.cos(math.pi * share))


def linear(step):
    return step / WARMUP if step < WARMUP else (HORIZON - step) / (HORIZON - WARMUP)


def constant(step):
    return min(1.0, step / WARMUP)


def cyclic(step):  # no form that is tried
    return 0.1 + 0.05 * (step % 7)


FORMS = {"cosine": cosine, "linear": linear, "constant": constant, "cyclic": cyclic}
SHIFTS = {"older": 0, "newer": 1}  # from the number of updates to the step whose rate is logged
VERSIONS = {"older": "4.48.1", "newer": "5.23.0"}


def log(rate, shift, every):
    counts = range(every, HORIZON, every)
    return {"log_history": [{"step": n, "learning_rate": rate(n - shift)} for n in counts]}


def inferred(form, trainer, *, every=1, checkpoints=(), version=None):
    rate = FORMS[form]
    stored = {step: rate(step) for step in checkpoints}
    readings = rate_readings(log(rate, SHIFTS[trainer], every), stored, version)
    trusted = tells_the_logged_step(version)
    return KnownRates(readings, 1.0, HORIZON, trusts_first=trusted).rates(STEPS)


def used(form):
    return pytest.approx([FORMS[form](step) for step in STEPS], rel=1e-5)


@pytest.mark.parametrize("trainer", SHIFTS)
@pytest.mark.parametrize("form", FORMS)
def test_a_checkpoint_tells_which_rate_is_logged(form, trainer):
    assert inferred(form, trainer, checkpoints=[20]) == used(form), (
        "the rates are shifted by one step"
    )


@pytest.mark.parametrize("trainer", SHIFTS)
@pytest.mark.parametrize("form", ["cosine", "linear", "constant"])
def test_the_form_of_the_schedule_tells_which_rate_is_logged(form, trainer):
    assert inferred(form, trainer, every=4) == used(form)


@pytest.mark.parametrize("trainer", SHIFTS)
def test_the_version_tells_which_rate_is_logged_if_nothing_else_does(trainer):
    assert inferred("cyclic", trainer, version=VERSIONS[trainer]) == used("cyclic")
    assert inferred("cyclic", trainer) is None, "rates are guessed"


@pytest.mark.parametrize("trainer", SHIFTS)
def test_checkpoints_have_precedence_over_the_version(trainer):
    other = next(version for name, version in VERSIONS.items() if name != trainer)
    assert inferred("cyclic", trainer, checkpoints=[20], version=other) == used("cyclic")


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_an_imported_run_of_an_older_trainer_has_the_rates_of_its_updates(
    tmp_path, make_trainer, schedule
):
    run = tmp_path / "run"
    trainer = make_trainer(run, lr_scheduler_type=schedule, logging_strategy="steps",
                           logging_steps=1)  # fmt: skip
    trainer.train()
    share = trainer.lr_scheduler.lr_lambdas[0]
    path = run / "checkpoint-6/trainer_state.json"
    content = json.loads(path.read_text())
    for entry in content["log_history"]:
        if "learning_rate" in entry:
            entry["learning_rate"] = 1e-2 * share(entry["step"])
    path.write_text(json.dumps(content))
    batches = [batch["input_ids"] for batch in trainer.get_train_dataloader()]
    tokens = torch.stack(batches).view(6, 2, *batches[0].shape).numpy()[2:]
    np.save(tmp_path / "tokens.npy", tokens)
    import_trainer(run, tmp_path / "record", Given(tokens=str(tmp_path / "tokens.npy")))
    for step in range(2, 6):
        [rate] = read_step(tmp_path / "record", step).rates
        assert rate == pytest.approx(1e-2 * share(step)), f"the rate of step {step} is another"


LINEAR = {10: 0.9, 30: 0.7}  # of 100 steps, without a warm-up


@pytest.mark.parametrize(
    ("samples", "horizon", "expected"),
    [
        (LINEAR, 100, [0.8, 0.79]),
        ({10: 0.9}, 0, None),
        ({10: 0.9, 30: 0.6}, 100, None),
        ({0: 0.0}, 100, None),
        ({20: 0.3, 21: 0.1}, 100, [0.3, 0.1]),
    ],
    ids=["a line", "no horizon", "another schedule", "not determined", "all sampled"],
)
def test_rates_are_known_only_where_the_samples_determine_them(samples, horizon, expected):
    rates = KnownRates([samples], 1.0, horizon).rates(range(20, 22))
    assert rates == (expected if expected is None else pytest.approx(expected))
