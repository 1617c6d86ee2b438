"""The comparison of stores of residuals: bytes, and errors against separate estimates."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from problems import expansion, language_problem, optimizer_config, torch_states, warm_state
from trainorder.compression.residual_stores import compare_residual_stores
from trainorder.config.sections.sizes import residual_size
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.estimators.corrected import Corrected
from trainorder.expansion.known_runs import KnownRuns
from trainorder.numerics.quantize import BLOCK, dequantized, quantized
from trainorder.numerics.rows import Rows
from trainorder.orders.order import Order

UNITS, SEED = 6, 3
ORDERS = [
    Order(f"calibration-{i:04d}", "random", "calibration", rng.permutation(UNITS)[:, None])
    for i, rng in enumerate(map(np.random.default_rng, range(3)))
]
SCHEDULES = torch.from_numpy(np.stack([order.schedule for order in ORDERS]))


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Return a function from unit size and size to problem, expansion, exact residuals, result."""

    def compare(unit_size, size):
        problem, config = language_problem(UNITS, unit_size), optimizer_config()
        reference = np.arange(UNITS)[:, None]
        warm = warm_state(problem, problem.model.parameters(), config)
        states = torch_states(problem, warm, reference.tolist(), config)
        sizes = [residual_size(size, unit_size)]
        folder = tmp_path_factory.mktemp("store")
        with expansion(problem, states, config, folder) as about:
            scale = second_moment_scale(about)
            runs = KnownRuns.measure(problem, about.path, reference, sizes, scale, SEED)
            result = compare_residual_stores(problem, about, runs, ORDERS, size=size, seed=SEED)
            ends = {
                name: Corrected(about, known, size, SEED).replay(SCHEDULES, lambda t, theta: None)
                for name, known in (("exact", runs), ("int8", through_int8(runs)))
            }
            origin = about.path.parameters(UNITS)
        return problem, runs, result, ends, origin

    return compare


def through_int8(runs):
    """Return the runs with residuals that were rounded to bytes, all at once."""
    [(size, rows)] = runs.residuals.items()
    return replace(runs, residuals={size: Rows(rounded(rows.tensor))})


def rounded(rows):
    return dequantized(*quantized(rows))


@pytest.fixture(scope="module")
def case(compared):
    return compared(unit_size=2, size=1)


def store(result, name):
    [record] = [record for record in result["stores"] if record["store"] == name]
    return record


def test_unrounded_residuals_have_no_error_and_rounded_ones_have_some(case):
    result = case[2]
    errors = ("residual_error", "parameter_error", "loss_error")
    assert [store(result, "float32")[error] for error in errors] == [0, 0, 0]
    for error in errors:
        assert 0 < store(result, "float16")[error] < store(result, "int8")[error], error


def test_errors_are_those_of_separate_estimates(case):
    problem, runs, result, ends, origin = case
    exact, int8 = ends["exact"], ends["int8"]
    moved = (exact - origin).norm(dim=1)
    losses = {name: np.array([problem.evaluate(end)[0] for end in e]) for name, e in ends.items()}
    record = store(result, "int8")
    assert result["displacement"] == pytest.approx(float(moved.mean()))
    assert result["loss_spread"] == pytest.approx(float(np.std(losses["exact"], ddof=1)))
    error = float(((int8 - exact).norm(dim=1) / moved).mean())
    assert record["parameter_error"] == pytest.approx(error, rel=1e-6)
    error = float(np.abs(losses["int8"] - losses["exact"]).mean())
    assert record["loss_error"] == pytest.approx(error, rel=1e-6)
    assert record["loss_error_over_spread"] == pytest.approx(error / result["loss_spread"])
    [rows] = (rows.tensor for rows in runs.residuals.values())
    relative = float((rounded(rows) - rows).norm() / rows.norm())
    assert record["residual_error"] == pytest.approx(relative)


def test_bytes_are_those_of_the_residuals_of_all_visits(case):
    problem, _, result, _, _ = case
    number = 8  # double precision
    blocks = -(-problem.size // BLOCK)
    per_visit = {
        "float32": number * problem.size,
        "float16": 2 * problem.size + number,
        "int8": problem.size + number * blocks,
    }
    assert result["visits"] == UNITS
    for name, expected in per_visit.items():
        record = store(result, name)
        assert record["bytes"] == UNITS * expected
        assert record["ratio"] == pytest.approx(per_visit["float32"] / expected)


def test_the_residual_of_a_whole_unit_is_nothing(compared):
    result = compared(unit_size=2, size=2)[2]
    for record in result["stores"]:
        assert record["residual_error"] is None or record["residual_error"] < 0.01
        assert record["loss_error"] < 1e-12


def test_units_of_one_sequence_have_their_whole_gradient_as_residual(compared):
    _, runs, result, _, _ = compared(unit_size=1, size=1)
    assert list(runs.residuals) == [0]
    assert result["size"] == 1
    assert 0 < store(result, "int8")["residual_error"] < 0.05


def test_the_content_can_be_written_as_json(case):
    json.dumps(case[2], allow_nan=False)
