"""The comparison of stores: exact stores, large tables, and the JSON content."""

import json
import math

import numpy as np
import pytest
import torch

from problems import expansion, language_problem, optimizer_config, torch_states, warm_state
from trainorder.compression import comparison
from trainorder.compression.comparison import Squares, compare_codecs, gram
from trainorder.estimators.order0 import Order0
from trainorder.orders.order import Order

REFERENCE = [[0], [1], [2], [3], [4], [5]]
FIELDS = ["table_error", "inner_product_error", "distance_error", "parameter_error", "loss_error"]


def orders(count=3):
    """Return the reference and `count` calibration orders."""
    shuffled = [np.random.default_rng(i).permutation(6)[:, None] for i in range(count)]
    return [
        Order("reference", "reference", "reference", np.array(REFERENCE)),
        *(
            Order(f"calibration-{i:04d}", "random", "calibration", schedule)
            for i, schedule in enumerate(shuffled)
        ),
    ]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    problem, config = language_problem(), optimizer_config()
    warm = warm_state(problem, problem.model.parameters(), config)
    states = torch_states(problem, warm, REFERENCE, config)
    with expansion(problem, states, config, tmp_path_factory.mktemp("store")) as about:
        yield problem, about


@pytest.fixture(scope="module")
def content(case):
    return compare_codecs(*case, orders())


def records(content, store):
    return [record for record in content["stores"] if record["store"] == store]


def test_the_dense_store_has_no_error_and_the_others_have_some(content):
    [dense] = records(content, "dense")
    assert all(dense[field] == 0 for field in FIELDS)
    assert dense["bytes"] == content["dense_bytes"] == 6 * 6 * content["parameters"] * 8
    for record in content["stores"]:
        if record["store"] != "dense":
            assert record["table_error"] > 0
            assert record["parameter_error"] > 0
            assert record["bytes"] < content["dense_bytes"]


def test_the_reference_is_not_replayed_and_the_rest_are(content):
    assert content["orders"] == [f"calibration-{i:04d}" for i in range(3)]


def test_errors_are_those_of_separate_replays(case, content):
    problem, about = case
    schedules = torch.from_numpy(np.stack([order.schedule for order in orders()[1:]]))
    ends = Order0(about).replay(schedules, lambda t, theta: None)
    moved = (ends - about.path.parameters(6)).norm(dim=1)
    losses = [problem.evaluate(end)[0] for end in ends]
    assert content["displacement"] == pytest.approx(float(moved.mean()))
    assert content["loss_spread"] == pytest.approx(float(np.std(losses, ddof=1)))
    for record in content["stores"]:
        assert record["loss_error_over_spread"] == pytest.approx(
            record["loss_error"] / content["loss_spread"]
        )


def test_half_precision_hardly_changes_a_replay_and_a_transposed_projection_does(content):
    [half] = records(content, "float16")
    assert half["parameter_error"] < 0.01
    assert all(record["parameter_error"] > 0.3 for record in records(content, "jl"))


def test_projections_keep_distances_far_better_than_gradients(content):
    for store in ("jl", "sparse_jl"):
        for record in records(content, store):
            if record["read"] == "transpose":
                assert record["distance_error"] < 0.5 * record["table_error"]


def test_the_content_can_be_written_as_json(content):
    json.dumps(content, allow_nan=False)


def test_a_large_table_is_compared_over_its_first_steps(case, monkeypatch):
    problem, about = case
    step_bytes = 6 * problem.size * 8
    monkeypatch.setattr(comparison, "LARGEST_BYTES", 4 * step_bytes + 1)
    content = compare_codecs(problem, about, orders())
    assert (content["steps"], content["window_steps"]) == (4, 6)
    assert content["dense_bytes"] == 4 * step_bytes
    monkeypatch.setattr(comparison, "LARGEST_BYTES", 2 * step_bytes - 1)
    content = compare_codecs(problem, about, orders())
    assert (content["steps"], content["stores"]) == (0, [])


def test_stores_are_interpolated_between_anchors(tmp_path):
    problem, config = language_problem(), optimizer_config()
    warm = warm_state(problem, problem.model.parameters(), config)
    states = torch_states(problem, warm, REFERENCE, config)
    with expansion(problem, states, config, tmp_path, anchors=3) as about:
        content = compare_codecs(problem, about, orders())
        schedules = torch.from_numpy(np.stack([order.schedule for order in orders()[1:]]))
        ends = Order0(about).replay(schedules, lambda t, theta: None)
        moved = (ends - about.path.parameters(6)).norm(dim=1)
    assert (content["anchors"], content["steps"]) == (3, 6)
    assert content["dense_bytes"] == 3 * 6 * problem.size * 8, "a step that is not stored counts"
    assert content["displacement"] == pytest.approx(float(moved.mean()), rel=1e-12)
    [dense] = records(content, "dense")
    assert all(dense[field] == 0 for field in FIELDS)


def test_relative_errors_are_those_of_the_dense_formula():
    generator = torch.Generator().manual_seed(0)
    true, decoded = torch.randn(2, 2, 5, 20000, generator=generator, dtype=torch.float64)
    decoded = true + 0.1 * decoded
    squares = Squares()
    for t in range(2):
        squares.add(true[t], gram(true[t]), decoded[t], decoded[t])
    products = [rows @ rows.mT for rows in (true, decoded)]
    distances = [torch.cdist(rows, rows)[:, *np.triu_indices(5, 1)] for rows in (true, decoded)]
    expected = {
        "table_error": float((decoded - true).norm() / true.norm()),
        "inner_product_error": float((products[1] - products[0]).norm() / products[0].norm()),
        "distance_error": float((distances[1] / distances[0] - 1).square().mean().sqrt()),
    }
    assert squares.as_dict() == pytest.approx(expected, rel=1e-9)


def test_a_diverged_store_has_no_errors():
    squares = Squares()
    bad = torch.full((3, 4), math.inf)
    squares.add(torch.ones(3, 4), gram(torch.ones(3, 4)), bad, bad)
    assert squares.as_dict()["table_error"] is None
    assert squares.as_dict()["distance_error"] is None, "all gradients are equal"
