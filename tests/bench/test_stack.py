"""Stacks of estimators: their weights, intervals and gains, where these are known."""

import numpy as np
import pytest

from bench import stack
from bench.stack_fit import COVERAGE, Sample, comparison, fitted_stack, stack_estimates
from bench.stack_page import markdown, section
from trainorder.evaluation.results import Results
from trainorder.storage.formats import read_json


def drawn(noise, n=24, further=48, seed=0):
    """Return a sample of members with a standard deviation of `noise`; that of the truth is 1."""
    rng = np.random.default_rng(seed)
    true = rng.standard_normal(n + further)
    members = [true + level * rng.standard_normal(len(true)) for level in noise]
    raw = np.stack(members, axis=1)
    names = [f"member{j}" for j in range(len(noise))]
    return Sample(names, raw[:n], true[:n], raw[n:], true[n:])


def test_independent_members_are_weighted_by_the_inverse_of_their_variance():
    one = drawn([0.3, 0.6], n=400)
    slopes = fitted_stack(one.raw, one.true).slopes
    exact = np.array([1 / 0.3**2, 1 / 0.6**2]) / (1 + 1 / 0.3**2 + 1 / 0.6**2)
    np.testing.assert_allclose(slopes, exact, atol=0.05)


def test_the_weights_do_not_depend_on_level_and_scale_of_a_member():
    one = drawn([0.3, 0.6])
    plain = fitted_stack(one.raw, one.true)
    other = fitted_stack(one.raw * [1.0, 5.0] + [3.0, -2.0], one.true)
    np.testing.assert_allclose(other.weights, plain.weights, rtol=1e-6)
    raw = one.further_raw * [1.0, 5.0] + [3.0, -2.0]
    np.testing.assert_allclose(other.values(raw), plain.values(one.further_raw), rtol=1e-6)


def test_a_useless_member_has_no_weight():
    one = drawn([0.3, 1e3])
    assert fitted_stack(one.raw, one.true).weights[1] == 0


def test_a_member_that_ranks_in_reverse_has_no_negative_weight():
    one = drawn([0.3, 0.6])
    fit = fitted_stack(one.raw * [1, -1], one.true)
    assert (fit.weights >= 0).all()
    assert fit.slopes[1] == 0


def test_useless_members_give_the_mean_of_the_calibration_orders():
    one = drawn([1e3, 1e3])
    values = fitted_stack(one.raw, one.true).values(one.further_raw)
    np.testing.assert_allclose(values, one.true.mean(), atol=1e-9)


def test_the_intervals_contain_the_truth_as_often_as_they_should():
    inside = []
    for seed in range(40):
        one = drawn([0.4, 0.5], n=19, seed=seed)
        _, estimates = stack_estimates(one.raw, one.true, one.further_raw)
        value, low, high = estimates.T
        assert ((low <= value) & (value <= high)).all()
        inside.append((low <= one.further_true) & (one.further_true <= high))
    assert COVERAGE - 0.01 < np.mean(inside) < 0.98


def test_too_few_calibration_orders_have_no_interval():
    one = drawn([0.4, 0.5], n=8)
    _, estimates = stack_estimates(one.raw, one.true, one.further_raw)
    assert np.isnan(estimates[:, 1:]).all()
    assert comparison(one)["stack"]["coverage"] is None


def test_independent_members_gain_and_a_copy_does_not():
    gains = comparison(drawn([0.5, 0.5, 0.5], n=50, further=200))
    assert gains["gain_relative_error"]["low"] > 0
    assert gains["gain_order_lds"]["low"] > 0
    one = drawn([0.5], n=50, further=200)
    twice = Sample(
        ["a", "b"], np.tile(one.raw, 2), one.true, np.tile(one.further_raw, 2), one.further_true
    )
    gains = comparison(twice)
    assert abs(gains["gain_relative_error"]["value"]) < 0.01
    assert gains["gain_order_lds"]["value"] == 0


def test_the_best_single_member_is_chosen_by_the_calibration_orders():
    one = drawn([0.2, 0.6])
    swapped = Sample(one.names, one.raw, one.true, one.further_raw[:, ::-1], one.further_true)
    assert comparison(one)["best"] == comparison(swapped)["best"] == "member0"


@pytest.fixture
def results(synthetic_study):
    return Results.read(synthetic_study.results)


def test_single_members_have_the_scores_of_the_study(results):
    [every, pair] = with_pair(results, "subsample")
    assert pair["members"] == ["nystrom@barycentre", "subsample@barycentre"]
    assert set(pair["members"]) < set(every["members"])
    for name, scores in every["singles"].items():
        expected = results.score(name)
        for key in ("order_lds", "coverage"):
            assert scores[key] == pytest.approx(expected[key]["heldout"]["random"]["value"])
        error = expected["relative_error"]["heldout"]["random"]
        assert scores["relative_error"] == pytest.approx(error)


def with_pair(results, method):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "PAIR", ("nystrom", method))
        return stack.stacks_of(results, ["heldout"])


def test_only_estimators_of_every_order_that_depend_on_it_are_members(results):
    members = with_pair(results, "subsample")[0]["members"]
    assert "constant@reference" not in members
    assert "taylor2@barycentre" not in members, "it has too few orders"
    assert "fut-unguarded@reference" not in members, "it diverges"
    assert "nystrom@barycentre" in members


@pytest.mark.slow
def test_the_command_writes_the_section_from_its_record(synthetic_study, top):
    (top / "docs").mkdir()
    page = top / stack.PAGE
    page.write_text("before\n<!-- stack -->\nold\n<!-- /stack -->\nafter\n")
    stack.main([str(synthetic_study.results)])
    text = page.read_text()
    record = read_json(top / stack.OUTPUT)
    assert text == f"before\n<!-- stack -->\n{markdown(record)}\n<!-- /stack -->\nafter\n"
    assert "| synthetic, all, n = 48 |" in text
    assert "On the single domains, the gain in relative error is " in text
    with pytest.raises(SystemExit, match=r"error: .*none"):
        stack.main([str(top / "none")])


def test_the_section_counts_the_stacks_that_are_clearly_better():
    better, copy = (comparison(drawn(noise, 50, 200)) for noise in ([0.5, 0.5, 0.5], [0.5, 9]))
    rows = [("first", {**better, "set": "all"}), ("second", {**copy, "set": "all"})]
    text = "\n".join(section(rows))
    assert "positive for 1 in order-LDS and for 1 in relative error" in text
    assert "| first, all, n = 200 |" in text
