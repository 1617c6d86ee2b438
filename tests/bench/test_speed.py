"""The measurements of speed, and their record."""

import shutil

import pytest
import torch

from bench import speed
from bench.config_hash import config_hash
from bench.speed_measurements import adamw_bytes, nystrom_bytes, order0_bytes, profile
from bench.speed_page import parts as parts_text
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


def with_arithmetic(seconds):
    """Return the record with other seconds of the arithmetic of `corrected`."""
    parts = MEASURED["parts"]
    name = parts["selected"]
    own = parts["estimators"][name]
    own = {**own, "seconds": {**own["seconds"], "arithmetic": seconds}}
    estimators = {**parts["estimators"], name: own}
    return {**RECORD, "measured": {**MEASURED, "parts": {**parts, "estimators": estimators}}}


def test_the_parts_of_a_replay_are_given_per_order_with_their_shares():
    text = parts_text(RECORD)
    assert (
        "| `corrected-runs24@reference` | 1 | 0.5 (50%) | 0.2 (20%) | 0.3 (30%) | 500 |" in text
    ), "seconds are not divided by the orders, or shares not by the whole replay"
    assert "| `nystrom@barycentre` | 0.25 | none | 0.0625 (25%) | 0.188 (75%) | 20 |" in text
    # 1024 sequences in 32 steps of 8 orders are 4 per step; the arithmetic takes 2.4 / 4 of them.
    assert "as long as gradients of 2.4 sequences per step, and it differentiates 4." in text


def test_arithmetic_within_the_noise_is_no_number():
    text = parts_text(with_arithmetic(-0.1))
    assert text.count("too short to measure") == 2, "a difference below zero is written as a time"
    assert "-" not in text.split("500 |")[0].split("corrected-runs24@reference` |")[1]
