"""Learning rates of replays and of real training equal those of transformers, in float64."""

from dataclasses import replace

import pytest
import torch
from transformers import get_scheduler
from transformers.optimization import get_polynomial_decay_schedule_with_warmup

from problems import HORIZON, optimizer_config
from trainorder.errors import UserError
from trainorder.training.learning_rates import learning_rate
from trainorder.training.optimizer import build_optimizer
from trainorder.training.rate_files import read_rates
from trainorder.training.torch_schedules import torch_schedule

WARMUP, DECAY, FLOOR = 5, 8, 0.2
WSD = {"schedule": "warmup_stable_decay", "decay_steps": DECAY}
CASES = {  # our settings; the name and the arguments of the schedule of transformers
    "constant": ({"schedule": "constant"}, "constant_with_warmup", {}),
    "cosine": ({"schedule": "cosine"}, "cosine_with_min_lr", {"min_lr_rate": 0.1}),
    "linear": ({"schedule": "linear", "final_fraction": 0.0}, "linear", {}),
    **{
        f"warmup_stable_decay, {form}, to {floor}": (
            {**WSD, "decay_form": form, "final_fraction": floor},
            "warmup_stable_decay",
            {"num_decay_steps": DECAY, "decay_type": form, "min_lr_ratio": floor},
        )
        for form in ("linear", "cosine", "1-sqrt")
        for floor in (0.0, FLOOR)
    },
}


def rates_of(build, config):
    """Return the rates of all steps of a scheduler of torch, built for an optimizer."""
    parameter = torch.zeros(1, dtype=torch.float64)
    optimizer = torch.optim.SGD([parameter], lr=config.learning_rate)
    for group in optimizer.param_groups:
        group["initial_lr"] = config.learning_rate
    scheduler, rates = build(optimizer), []
    for _ in range(HORIZON):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


def own(config, end=HORIZON):
    return [learning_rate(config, step, end) for step in range(HORIZON)]


def same(rates):
    return pytest.approx(rates, rel=1e-12, abs=1e-18)


@pytest.mark.parametrize("warmup", [0, WARMUP])
@pytest.mark.parametrize("case", CASES)
def test_rates_are_those_of_transformers(case, warmup):
    changes, name, arguments = CASES[case]
    config = optimizer_config(linear_warmup_steps=warmup, **changes)

    def theirs(optimizer):
        return get_scheduler(
            name, optimizer, warmup, HORIZON, scheduler_specific_kwargs=dict(arguments)
        )

    expected = rates_of(theirs, config)
    assert own(config) == same(expected), "the rates of replays differ"
    real = rates_of(lambda optimizer: torch_schedule(optimizer, config, HORIZON, 0), config)
    assert real == same(expected), "the rates of real training differ"


@pytest.mark.parametrize("floor", [0.0, FLOOR, 1.0])
def test_linear_decay_may_end_above_zero(floor):
    config = optimizer_config(schedule="linear", final_fraction=floor, linear_warmup_steps=WARMUP)
    real = rates_of(lambda optimizer: torch_schedule(optimizer, config, HORIZON, 0), config)
    assert own(config) == same(real), "replays and real training differ"
    assert learning_rate(config, HORIZON, HORIZON) == pytest.approx(floor * config.learning_rate)
    if floor < 1:
        end = floor * config.learning_rate
        theirs = rates_of(
            lambda optimizer: get_polynomial_decay_schedule_with_warmup(
                optimizer, WARMUP, HORIZON, lr_end=end, power=1.0
            ),
            config,
        )
        assert real == same(theirs)


@pytest.mark.parametrize("step", [2, 17, 36])
@pytest.mark.parametrize("case", [*CASES, "table"])
def test_a_resumed_schedule_continues(case, step):
    config = optimizer_config(linear_warmup_steps=WARMUP, **CASES.get(case, [{}])[0])
    if case == "table":
        config = replace(config, rates=[0.1 * n for n in range(HORIZON)])
    parameter = torch.zeros(1, dtype=torch.float64)
    optimizer = torch.optim.SGD([parameter], lr=config.learning_rate)
    optimizer.param_groups[0]["initial_lr"] = config.learning_rate
    scheduler = torch_schedule(optimizer, config, HORIZON, step)
    assert scheduler.get_last_lr() == same([learning_rate(config, step, HORIZON)])


def test_decay_steps_may_be_a_share_of_the_horizon():
    number = optimizer_config(**WSD)
    share = replace(number, decay_steps=DECAY / HORIZON)
    assert own(share) == own(number)
    longer = replace(share, horizon=2 * HORIZON)
    assert longer.decaying(2 * HORIZON) == 2 * DECAY
    assert set(own(longer)) == {number.learning_rate}, "the decay begins before the last steps"


def test_a_table_of_rates_ends_with_the_window():
    table = [0.25, 0.5, 0.125]
    config = optimizer_config(schedule="linear", rates=table)
    rates = own(config)
    assert rates[-3:] == table
    assert build_optimizer(config, HORIZON).learning_rate(HORIZON - 2) == 0.5
    real = rates_of(
        lambda optimizer: torch_schedule(optimizer, config, HORIZON, HORIZON - 3), config
    )
    assert real[:3] == same(table), "real training does not take the rates of the table"


def written(folder, text):
    path = folder / "rates.csv"
    path.write_text(text)
    return path


def test_rates_are_read_by_the_number_of_their_step(tmp_path):
    path = written(tmp_path, "epoch,step,learning_rate\n0,12,3e-4\n0,11,0.0\n0,10,1\n0,3,9\n")
    assert read_rates(path, range(10, 13)) == [1.0, 0.0, 3e-4]


WRONG = {
    "a step is missing": ("step,learning_rate\n10,1\n12,1\n", "has no rate of step 11"),
    "a step twice": ("step,learning_rate\n10,1\n10,1\n", "step 10 has two rows"),
    "no such column": ("step,lr\n10,1\n", "row 1 has no column `learning_rate`"),
    "a short row": ("step,learning_rate\n10\n", "row 1 has no column `learning_rate`"),
    "a negative rate": ("step,learning_rate\n10,-1\n", "row 1 is '10,-1'"),
    "not a number": ("step,learning_rate\n10,nan\n", "row 1 is '10,nan'"),
    "not a step": ("step,learning_rate\n1.5,1\n", "row 1 is '1.5,1'"),
    "empty": ("", "has no rate of step 10"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_table_of_rates_raises_one_line(case, tmp_path):
    text, message = WRONG[case]
    path = written(tmp_path, text)
    with pytest.raises(UserError, match=message) as error:
        read_rates(path, range(10, 13))
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_missing_table_of_rates_raises(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_rates(tmp_path / "none.csv", range(3))
