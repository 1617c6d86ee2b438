"""Recalibrated estimates and their intervals agree with explicit refits and with simulations."""

import json

import numpy as np
import pytest
from scipy.stats import chi2

from trainorder.evaluation.recalibration import (
    CHECKED,
    NOISE,
    UNLUCKY,
    Recalibration,
    interval_rank,
    shrunk_line,
)
from trainorder.evaluation.verdict import MIN_CALIBRATION

LEVEL, SPREAD = 3.3, 0.003  # of the true metric over orders, in nats per token
N, COVERAGE = 24, 0.9
# Raw estimates of the truth y: by the kind of estimator.
KINDS = {
    "good": lambda y, rng: y + 0.2 * SPREAD * rng.standard_normal(len(y)),
    "biased": lambda y, rng: 0.1 + 0.4 * y + 0.1 * SPREAD * rng.standard_normal(len(y)),
    "noisy": lambda y, rng: y + 2 * SPREAD * rng.standard_normal(len(y)),
    "useless": lambda y, rng: LEVEL + 5 * SPREAD * rng.standard_normal(len(y)),
}


def drawn(kind, n, seed):
    """Return raw estimates and truth of n exchangeable orders."""
    rng = np.random.default_rng(seed)
    true = LEVEL + SPREAD * rng.standard_normal(n)
    return KINDS[kind](true, rng), true


def reference_line(x, y):
    """Return intercept and slope as the formula says, from the covariance of `np.polyfit`."""
    (slope, _), covariance = np.polyfit(x - x.mean(), y, 1, cov="unscaled")
    residual = y - y.mean() - slope * (x - x.mean())
    noise = covariance[0, 0] * (residual**2).sum() / (len(x) - 2)
    slope = max(slope, 0) * max(0, 1 - NOISE**2 * noise / slope**2)
    return y.mean() - slope * x.mean(), slope


def reference_interval(x, y, new, rank):
    """Return the interval of Barber et al. 2021, section 1.2, from explicit refits.

    With their alpha, the rank is ceil((1 - alpha) (n + 1)).
    """
    n, low, high = len(x), [], []
    for i in range(n):
        intercept, slope = reference_line(np.delete(x, i), np.delete(y, i))
        residual = abs(y[i] - intercept - slope * x[i])
        low.append(intercept + slope * new - residual)
        high.append(intercept + slope * new + residual)
    return sorted(low)[n - rank], sorted(high)[rank - 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [9, 10, 24])
def test_estimates_and_intervals_are_those_of_explicit_refits(kind, n):
    x, y = drawn(kind, n, seed=n)
    fitted = Recalibration.fitted(x, y, COVERAGE)
    intercept, slope = reference_line(x, y)
    for new in (x[0], x.mean(), x.max() + 3 * x.std()):
        value, low, high = fitted.estimate(new)
        expected = reference_interval(x, y, new, interval_rank(n, COVERAGE))
        assert value == pytest.approx(intercept + slope * new, abs=1e-9)
        assert low == pytest.approx(min(value, expected[0]), abs=1e-9), "the lower end is wrong"
        assert high == pytest.approx(max(value, expected[1]), abs=1e-9), "the upper end is wrong"


@pytest.mark.parametrize("kind", KINDS)
def test_a_calibration_order_is_estimated_without_itself_and_has_no_interval(kind):
    x, y = drawn(kind, N, seed=1)
    raw = np.concatenate([[LEVEL], x, [LEVEL]])
    calibration = np.arange(N + 2) % (N + 1) > 0
    actual = Recalibration.fitted(x, y, COVERAGE).estimates(raw, calibration)
    for i in range(N):
        intercept, slope = reference_line(np.delete(x, i), np.delete(y, i))
        assert actual[i + 1, 0] == pytest.approx(intercept + slope * x[i], abs=1e-9)
    assert np.isnan(actual[1:-1, 1:]).all()
    assert np.isfinite(actual[[0, -1]]).all()


def test_a_perfect_estimator_keeps_its_values():
    _, y = drawn("good", N, seed=2)
    fitted = Recalibration.fitted(y, y, COVERAGE)
    assert fitted.slope == pytest.approx(1, abs=1e-12)
    assert fitted.estimate(LEVEL) == pytest.approx((LEVEL, LEVEL, LEVEL), abs=1e-9)


def test_the_slope_of_an_ever_better_estimator_tends_to_one():
    rng = np.random.default_rng(3)
    y, noise = LEVEL + SPREAD * rng.standard_normal((2, N))
    distances = [
        abs(1 - shrunk_line(y + scale * (noise - LEVEL), y).slope) for scale in (1, 0.1, 0.01, 1e-3)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 2e-3


@pytest.mark.parametrize("kind", ["constant", "reversed", "uncorrelated"])
def test_a_useless_estimator_falls_back_to_the_mean_of_the_calibration_orders(kind):
    _, y = drawn("good", N, seed=4)
    centred = y - y.mean()
    signs = np.resize([1.0, -1.0], N)
    x = {
        "constant": np.full(N, 0.1),  # the mean of 24 times 0.1 is not 0.1
        "reversed": -y,
        "uncorrelated": signs - (signs @ centred) / (centred @ centred) * centred,
    }[kind]
    fitted = Recalibration.fitted(x, y, COVERAGE)
    assert fitted.slope == 0, "noise is taken for a signal"
    value, low, high = fitted.estimate(100.0)
    assert value == pytest.approx(y.mean())
    assert low < value < high


def test_level_and_scale_of_an_estimator_do_not_matter():
    x, y = drawn("noisy", N, seed=5)
    one, other = (Recalibration.fitted(z, y, COVERAGE) for z in (x, 7 * x - 20))
    assert other.estimate(7 * LEVEL - 20) == pytest.approx(one.estimate(LEVEL), abs=1e-9)


def test_the_interval_contains_the_estimate_however_far_it_is_from_the_calibration_orders():
    for seed in range(30):
        fitted = Recalibration.fitted(*drawn("useless", 9, seed), COVERAGE)
        for far in (-1e3, 0.0, 1e3):
            value, low, high = fitted.estimate(far)
            assert low <= value <= high


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_diverged_estimate_stays_and_a_diverged_calibration_order_prevents_recalibration(bad):
    x, y = drawn("good", N, seed=6)
    fitted = Recalibration.fitted(x, y, COVERAGE)
    value, low, high = fitted.estimate(bad)
    assert (value, low, high) == pytest.approx((bad, None, None), nan_ok=True)
    x[3] = bad
    assert Recalibration.fitted(x, y, COVERAGE) == Recalibration()
    assert Recalibration().estimate(4.5) == (4.5, None, None)


def test_few_calibration_orders_give_no_recalibration_or_no_interval():
    x, y = drawn("good", MIN_CALIBRATION, seed=7)
    assert Recalibration.fitted(x[1:], y[1:], COVERAGE) == Recalibration()
    assert Recalibration.fitted([], [], COVERAGE) == Recalibration()
    fitted = Recalibration.fitted(x, y, COVERAGE)
    assert fitted.slope != 1
    assert fitted.estimate(LEVEL)[1:] == (None, None), "eight orders are too few for 90 %"


def test_the_rank_is_the_documented_one():
    assert interval_rank(9, 0.9) == 9, "rounding of 9.000000000000002"
    assert interval_rank(8, 0.9) is None
    assert interval_rank(24, 0.9) == 24, "rank 23 contains less than 0.8 in 6 % of studies"
    assert interval_rank(40, 0.9) == 39, "rank 38 contains less than 0.8 in 4 % of studies"
    assert interval_rank(10_000, 0.9) / 10_000 < 0.92, "longer than 32 orders need"
    assert interval_rank(9, 0.5) == 5
    assert interval_rank(0, 0.5) is None


@pytest.mark.parametrize("n", [24, 40, 80])
def test_in_few_studies_too_few_further_orders_are_in_their_intervals(n):
    """With normal residuals the coverage of a study is known from the length of its interval."""
    rank, rng = interval_rank(n, COVERAGE), np.random.default_rng(n)
    lengths = np.sort(np.abs(rng.standard_normal((20_000, n))), axis=1)[:, rank - 1]
    covered = chi2.cdf(lengths**2, 1)
    inside = rng.binomial(CHECKED, covered) / CHECKED
    assert np.mean(covered) >= COVERAGE
    assert np.mean(inside < 2 * COVERAGE - 1) <= UNLUCKY + 0.003, "the rank is too low"
    assert np.mean(covered) < 0.97, "the intervals are longer than they need to be"


@pytest.mark.parametrize("n", [0, N])
def test_a_record_in_json_gives_the_same_estimates(n):
    x, y = drawn("noisy", n, seed=8)
    fitted = Recalibration.fitted(x, y, COVERAGE)
    again = Recalibration.from_record(json.loads(json.dumps(fitted.record(), allow_nan=False)))
    raw = np.linspace(LEVEL - 1, LEVEL + 1, 7)
    assert np.array_equal(again.estimates(raw), fitted.estimates(raw), equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
def test_intervals_cover_fresh_orders_and_no_estimator_is_worse_than_no_effect(kind):
    inside, error, effect = [], [], []
    for seed in range(400):  # 8 fresh orders each
        x, y = drawn(kind, N + 8, seed)
        fitted = Recalibration.fitted(x[:N], y[:N], COVERAGE)
        value, low, high = fitted.estimates(x[N:]).T
        inside += [*(low <= y[N:]) & (y[N:] <= high)]
        error += [*np.abs(value - y[N:])]
        effect += [*np.abs(y[:N].mean() - y[N:])]
    assert 0.9 <= np.mean(inside) <= 0.98, f"covers {np.mean(inside):.3f}, not 0.9 to 0.98"
    relative = np.mean(error) / np.mean(effect)
    expected = {"good": 0.25, "biased": 0.3, "noisy": 1.0, "useless": 1.05}[kind]
    assert relative <= expected, f"relative error {relative:.3f}"


@pytest.mark.parametrize("kind", KINDS)
def test_the_relative_error_of_calibration_orders_is_that_of_fresh_orders(kind):
    fresh, left_out = [], []
    for seed in range(300):
        x, y = drawn(kind, N + 1, seed)
        fitted = Recalibration.fitted(x[:N], y[:N], COVERAGE)
        value = fitted.estimates(x[:N], np.ones(N, bool))[:, 0]
        left_out.append(np.abs(value - y[:N]).mean())
        fresh += [abs(fitted.estimate(x[N]).value - y[N])]
    assert np.mean(left_out) == pytest.approx(np.mean(fresh), rel=0.12), (
        "the error of calibration orders is too optimistic"
    )
