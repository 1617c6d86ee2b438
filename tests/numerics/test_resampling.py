"""Rank correlations and intervals agree with references and have their nominal coverage."""

import warnings

import numpy as np
import pytest
from scipy import stats

from trainorder.numerics.resampling import (
    binomial_share,
    bootstrap_mean,
    bootstrap_rank_correlation,
    rank_correlation,
)


@pytest.mark.parametrize("seed", range(5))
def test_rank_correlation_equals_spearmans_with_ties(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 6, 40), rng.standard_normal(40)
    expected = stats.spearmanr(x, y).statistic
    assert rank_correlation(x, y) == pytest.approx(expected, abs=1e-12), "ties are not averaged"


def test_non_finite_estimates_rank_as_worst_with_ties():
    true = [1.0, 2.0, 3.0, 4.0]
    assert rank_correlation([1.0, 2.0, 3.0, np.nan], true) == 1.0, "NaN did not rank as worst"
    assert rank_correlation([-np.inf, 1.0, 2.0, 3.0], true) < 0, "-inf did not rank as worst"
    tied = rank_correlation([1.0, 2.0, np.nan, np.inf], true)
    assert tied == pytest.approx(stats.spearmanr([1, 2, 9, 9], true).statistic)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([], []),
        ([1.0, 2.0], [1.0, 2.0]),
        ([3.0, 3.0, 3.0], [1.0, 2.0, 3.0]),
        ([np.nan, np.inf, np.nan], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [5.0, 5.0, 5.0]),
    ],
)
def test_correlation_of_constant_or_too_few_values_is_undefined_without_a_warning(x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rank_correlation(x, y) is None
        interval = bootstrap_rank_correlation(x, y, 100, 0.95, 0)
    assert interval == (None, None, None, len(x))


def test_bootstrap_interval_covers_the_population_correlation():
    rho, inside = 0.7, 0
    population = 6 / np.pi * np.arcsin(rho / 2)  # Spearman's correlation of a bivariate normal
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal(60)
        y = rho * x + np.sqrt(1 - rho**2) * rng.standard_normal(60)
        interval = bootstrap_rank_correlation(x, y, 300, 0.9, seed)
        inside += interval.low <= population <= interval.high
    assert 80 <= inside <= 98, f"{inside} of 100 90% intervals cover the population correlation"


def test_bootstrap_resamples_pairs_and_depends_only_on_the_seed():
    x = np.arange(12.0)
    interval = bootstrap_rank_correlation(x, x, 200, 0.95, 3)
    assert interval == (1.0, 1.0, 1.0, 12), "x and y are resampled separately"
    y = np.random.default_rng(0).standard_normal(12)
    first, repeated = (bootstrap_rank_correlation(x, y, 200, 0.95, 3) for _ in range(2))
    assert first == repeated
    assert first != bootstrap_rank_correlation(x, y, 200, 0.95, 4), "the seed is not used"


def test_bootstrap_mean_agrees_with_the_standard_error():
    values = np.random.default_rng(0).standard_normal(400)
    interval = bootstrap_mean(values, 4000, 0.95, 0)
    assert interval.value == pytest.approx(values.mean())
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.1)
    assert bootstrap_mean([1.0, np.inf, 2.0], 100, 0.95, 0) == (None, None, None, 3)


@pytest.mark.parametrize(("k", "n"), [(9, 10), (45, 48), (24, 48), (0, 5), (5, 5)])
def test_the_interval_of_a_share_is_that_of_clopper_and_pearson(k, n):
    interval = binomial_share(k, n, 0.95)
    low = stats.beta.ppf(0.025, k, n - k + 1) if k else 0.0
    high = stats.beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
    assert interval == pytest.approx((k / n, low, high, n))


def test_more_orders_narrow_the_interval_of_a_share():
    few, many = binomial_share(9, 10, 0.95), binomial_share(90, 100, 0.95)
    assert many.high - many.low < few.high - few.low


def test_a_share_without_trials_is_undefined():
    assert binomial_share(0, 0, 0.95) == (None, None, None, 0)
