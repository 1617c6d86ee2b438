"""Advantages by age, and the age at which they have halved."""

import numpy as np
import pytest

from trainorder.memorization.forgetting import advantage, forgetting, half_life


def test_age_counts_from_the_last_step():
    presence = np.array([[-1.0, -2.0, -4.0]])
    assert advantage(presence).tolist() == [[4.0, 2.0, 1.0]]


@pytest.mark.parametrize("life", [0.7, 3.0, 8.5])
def test_the_half_life_of_an_exponential_decay_is_recovered(life):
    fine = 2.0 ** -(np.arange(200) / (10 * life))
    assert half_life(fine) == pytest.approx(10 * life, rel=1e-3)


def test_a_curve_that_starts_at_zero_or_does_not_halve_has_no_half_life():
    assert half_life(np.array([1.0, 0.9, 0.8])) is None
    assert half_life(np.array([-1.0, -2.0])) is None


def test_each_domain_has_its_own_curve_and_interval():
    ages = np.arange(30)
    slow, fast = 2.0 ** -(ages / 10), 2.0 ** -(ages / 3)
    rng = np.random.default_rng(0)
    curves = np.stack([slow, fast, slow, fast]) + 0.01 * rng.standard_normal((4, 30))
    actual = forgetting(-curves[:, ::-1], ["a", "b", "a", "b"], 300, 0.95, 0)
    assert set(actual) == {"all", "a", "b"}
    for name, life in (("a", 10), ("b", 3)):
        interval = actual[name]["half_life"]
        assert interval["value"] == pytest.approx(life, rel=0.2)
        assert interval["low"] <= interval["value"] <= interval["high"]
        assert actual[name]["units"] == 2
    assert np.allclose(actual["all"]["advantage"], curves.mean(0))
