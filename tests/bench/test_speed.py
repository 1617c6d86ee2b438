"""The measurements of speed, and their record."""

import shutil

import pytest
import torch

from bench import speed
from bench.config_hash import config_hash
from bench.speed_measurements import adamw_bytes, nystrom_bytes, order0_bytes, profile
from bench.speed_page import speed as speed_text
from speed_records import MEASURED, RECORD
from trainorder.storage.formats import read_json

pytestmark = pytest.mark.slow


def test_a_profile_names_the_operators_that_take_the_time():
    a = torch.ones(300, 300)
    operators = profile(lambda: [a @ a for _ in range(20)] and a.sum())
    assert operators[0]["operator"] == "aten::mm", f"products take the time, not {operators[0]}"
    assert operators[0]["calls"] == 20
    assert 0.5 < operators[0]["share"] <= 1
    shares = [entry["share"] for entry in operators]
    assert shares == sorted(shares, reverse=True)


def test_the_least_bytes_of_a_step_are_those_of_its_arrays():
    size, units, orders, rank = 10, 3, 2, 4
    update = 4 * orders * (1 + 3 * 2) * size  # gradient; parameters and two moments, there and back
    assert adamw_bytes(size, orders) == update
    assert order0_bytes(size, units, orders) == 4 * size * (units + orders) + update
    vectors = rank + 2 + 2 * orders  # bases, centre and mean, parameters and gradients
    assert nystrom_bytes(size, rank, orders) == 4 * size * vectors + update


def test_the_speed_is_recorded_with_the_configuration(synthetic_study, top, monkeypatch):
    shutil.copytree(synthetic_study.results, top / "results/default")
    monkeypatch.setattr(speed, "measure", lambda study: {**MEASURED, "study": study.name})
    speed.main()
    record = read_json(top / speed.OUTPUT)
    assert record["measured"]["study"] == "default"
    text = speed_text(record)
    assert "0.95 of training (target 0.9: pass)" in text
    assert f"configuration `{config_hash(record['config'])}`" in text


def test_the_speed_needs_a_finished_study(top):
    with pytest.raises(SystemExit, match=r"error: results/default/.*: no such file; run the study"):
        speed.main()


def test_a_slow_table_fails_its_target():
    gradients = {**MEASURED["gradients"], "ratio": 0.8}
    text = speed_text({**RECORD, "measured": {**MEASURED, "gradients": gradients}})
    assert "0.8 of training (target 0.9: **fail**)" in text
