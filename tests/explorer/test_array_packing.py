"""Packed numbers are as close as their bits allow, and bits are chosen by the losses."""

import base64
from dataclasses import replace

import numpy as np
import pytest
import torch

from problems import Polynomial, barycentre, every_sequence, low_rank, optimizer_config, warm_state
from trainorder.curvature.build_reduced_model import build_reduced_model
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.curvature.probe_schedules import probe_schedules
from trainorder.explorer import compact_model
from trainorder.explorer.compact_model import CompactModel
from trainorder.explorer.packing import packed, rounded


@pytest.mark.parametrize("bits", [10, 16, 21])
def test_a_packed_number_is_within_half_a_code_of_its_value(bits):
    values = (
        np.random.default_rng(0).standard_normal((3, 2, 5))
        * np.array([1e-9, 1, 1e9])[:, None, None]
    )
    values[1, 1] = 0.0
    largest = np.abs(values).max(axis=2, keepdims=True)
    error = np.abs(rounded(values, 2, bits) - values)
    assert (error <= 0.5001 * largest / (2 ** (bits - 1) - 1)).all()
    record = packed(values, 2, bits)
    assert record["shape"] == [3, 2, 5]
    assert len(base64.b64decode(record["codes"])) == -(-30 * bits // 8), "bits are wasted"
    assert len(base64.b64decode(record["scales"])) == 4 * 6


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "exemptions and clipping"])
def case(request, tmp_path_factory):
    """Return a compact model, the reduced model and schedules."""
    problem = Polynomial(6, size=12)
    clip = 1.0 if request.param else None
    config = optimizer_config(
        learning_rate=0.02, schedule="cosine", weight_decay=0.3, gradient_clip=clip
    )
    decayed = torch.arange(12) % 3 > 0 if request.param else None
    warm, schedules = warm_state(problem, problem.start, config), probe_schedules((3, 2), 6, 0, 20)
    folder = tmp_path_factory.mktemp("store")
    with barycentre(problem, warm, 3, 2, config, folder, decayed=decayed) as about:
        model, _ = low_rank(about, every_sequence(problem, np.arange(6)))
        metric = second_moment_scale(about)
        reduced = build_reduced_model(about, model, schedules, metric, [1, 3], averaged_states=2)
    return CompactModel.of(reduced, model.unit_cores), reduced, schedules


def test_a_compact_model_has_the_losses_of_the_reduced_model(case):
    compact, reduced, schedules = case
    goals = len(reduced.goals)
    torch.testing.assert_close(
        compact.expanded(None).along(schedules), reduced.along(schedules)[..., :goals]
    )


def test_bits_are_few_but_keep_the_losses(case, monkeypatch):
    compact, _, schedules = case
    monkeypatch.setattr(compact_model, "TOLERANCE", compact.change(schedules, 16) / 3)
    bits = compact.bits(schedules)
    assert bits == 18
    assert compact.change(schedules, bits) <= 1.5 * compact_model.TOLERANCE


def test_losses_that_do_not_change_take_the_fewest_bits(case):
    compact, _, schedules = case
    zero = replace(compact, arrays={name: 0 * a for name, a in compact.arrays.items()})
    assert zero.bits(schedules) == 16
