"""Every operation is timed at its own size."""

import pytest
import torch

from problems import KINDS, optimizer_config
from trainorder.config.sections.model import ModelConfig
from trainorder.planning import machine_speed
from trainorder.planning.machine_speed import Operation, measure_speed
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import build_optimizer

PLAIN = ("update", "product", "hash")


def calibrated(units, largest=None, **changes):
    wide, narrow = (
        LanguageModel(
            ModelConfig(hidden_size=size, intermediate_size=2 * size, layers=1, heads=2),
            64,
            16,
            0,
            torch.float32,
        )
        for size in (64, 8)
    )
    before = wide.parameters(), narrow.parameters()

    def tokens(n):
        return torch.randint(64, (n, 16), generator=torch.Generator().manual_seed(n))

    optimizer = build_optimizer(optimizer_config(**changes), 10)
    rates = measure_speed(units, wide, narrow, tokens, optimizer, largest)
    return rates, before, (wide.parameters(), narrow.parameters())


def test_every_operation_has_a_time_and_every_pass_its_memory():
    units = {Operation(kind, 0 if kind in PLAIN else 4) for kind in machine_speed.KINDS}
    rates, _, _ = calibrated(units)
    assert set(rates.seconds) == units
    differences = ("hvp", "third")  # differences of two times, which noise can make 0
    for unit, seconds in rates.seconds.items():
        assert seconds > 0 or unit.kind in differences, f"{unit}: no time"
    assert set(rates.bytes) == set(machine_speed.KINDS) - set(PLAIN)
    assert rates.start > 0
    assert rates.base > 2**20


def test_passes_of_more_than_the_largest_number_of_sequences_are_proportional(monkeypatch):
    timed = []
    monkeypatch.setattr(machine_speed, "_seconds", lambda one, *_: timed.append(one) or 1.0)
    units = [Operation("gradient", 2), Operation("gradient", 8), Operation("hash")]
    seconds = calibrated(units, largest=4)[0].seconds
    assert [seconds[unit] for unit in units] == [1.0, 2.0, 1.0]
    assert max(one.sequences for one in timed) == 4


def test_more_sequences_and_a_wider_model_take_longer():
    small, large, narrow = (
        Operation("gradient", 1),
        Operation("gradient", 256),
        Operation("gradient", 256, True),
    )
    seconds = calibrated([small, large, narrow])[0].seconds
    assert seconds[large] > 2 * seconds[small], (
        "the time does not grow with the number of sequences"
    )
    assert seconds[large] > seconds[narrow], "the proxy is timed like the studied model"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_timed_training_steps_update_the_parameters(kind):
    _, before, after = calibrated([Operation("step", 4)], **kind)
    assert not torch.equal(before[0], after[0]), "the time does not include the optimizer step"
    assert torch.equal(before[1], after[1])
