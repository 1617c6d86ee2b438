"""`simfluence` follows its recursion, recovers data that such a recursion generated, and selects
rate and penalty by the errors of orders that it did not see."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from trainorder.estimators.baselines import simfluence
from trainorder.estimators.baselines.simfluence import Recursions, fit_simfluence, remaining

UNITS, STEPS, DOMAINS = 12, 6, 3
LABELS = ["sea", "hill", "mixed"] * 4
DOMAIN_OF = np.array([2, 0, 1] * 4)  # in alphabetical sequence
READOUTS = [2, 4, STEPS]


def schedules(n, seed=0):
    """Return orders of 6 steps with two units each."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(UNITS).reshape(STEPS, 2) for _ in range(n)]


def recursions(seed=1, of_units=0.3, metrics=2):
    """Return recursions with random coefficients; `of_units` scales those of single units."""
    rng = np.random.default_rng(seed)
    coefficients = rng.standard_normal((metrics, 2 + 2 * (DOMAINS + UNITS)))
    for first in (2 + DOMAINS, 2 + 2 * DOMAINS + UNITS):
        coefficients[:, first : first + UNITS] *= of_units
    return Recursions(DOMAIN_OF, np.linspace(0.1, 0.2, metrics), coefficients)


def by_hand(model, schedule):
    """Return the losses (B, T+1) of one schedule from loops over recursions, steps and units."""
    rows = []
    for rate, (start, mean, *rest) in zip(model.rate, model.coefficients, strict=True):
        a, b = rest[: DOMAINS + UNITS], rest[DOMAINS + UNITS :]
        state, losses = 0.0, [start]
        for units in schedule:
            factor = summand = 0.0
            for u in units:
                factor += (1 - rate * (1 + a[DOMAIN_OF[u]] + a[DOMAINS + u])) / len(units)
                summand += (mean + b[DOMAIN_OF[u]] + b[DOMAINS + u]) / len(units)
            state = factor * state + summand
            losses.append(start + state)
        rows.append(losses)
    return np.array(rows)


def generated(orders, **options):
    """Return losses (O, R, M) that random recursions give."""
    losses = recursions(**options).losses(np.stack(orders))[..., READOUTS]
    return 3 + 0.01 * losses.transpose(1, 2, 0)


def test_the_losses_are_those_of_a_loop_over_steps_and_units():
    model, orders = recursions(), schedules(3)
    expected = np.stack([by_hand(model, order) for order in orders], axis=1)
    assert np.allclose(model.losses(np.stack(orders)), expected, rtol=1e-12, atol=0)


def test_the_end_is_the_sum_of_what_remains_of_each_step():
    model, orders = recursions(), schedules(3)
    factor, summand = model.steps(np.stack(orders))
    ends = model.coefficients[:, :1] + (remaining(factor) * summand).sum(-1)
    expected = np.stack([by_hand(model, order)[:, -1] for order in orders], axis=1)
    assert np.allclose(ends, expected, rtol=1e-12, atol=0)


def test_the_derivatives_are_differences_of_losses():
    model, orders = recursions(metrics=1), np.stack(schedules(3))
    data = simfluence._Data.of(orders, LABELS, READOUTS)
    losses, actual = model.derivatives(orders, data.features, READOUTS)
    assert np.allclose(losses, model.losses(orders)[..., READOUTS], rtol=1e-12, atol=0)
    for column in range(model.coefficients.shape[1]):
        step = np.zeros_like(model.coefficients)
        step[:, column] = 1e-5
        plus, minus = (
            Recursions(DOMAIN_OF, model.rate, model.coefficients + sign * step).losses(orders)
            for sign in (1, -1)
        )
        expected = (plus - minus)[..., READOUTS] / 2e-5
        assert np.allclose(actual[..., column], expected, rtol=1e-7, atol=1e-8)


def test_without_deviations_of_units_the_losses_depend_on_the_domains_alone():
    order = schedules(1)[0]
    same, other = (order + 3) % UNITS, (order + 1) % UNITS  # the domains repeat every 3 units
    shrunk, free = recursions(of_units=0.0), recursions()
    assert np.allclose(shrunk.losses(order[None]), shrunk.losses(same[None]), rtol=1e-13, atol=0)
    assert not np.allclose(shrunk.losses(order[None]), shrunk.losses(other[None]), rtol=1e-3)
    assert not np.allclose(free.losses(order[None]), free.losses(same[None]), rtol=1e-3)


def test_losses_that_a_recursion_generates_are_recovered_from_enough_orders():
    fit, held_back = schedules(40), schedules(30, seed=9)
    model = fit_simfluence(fit, LABELS, generated(fit, metrics=1), READOUTS)
    true = generated(held_back, metrics=1)[:, -1]
    error = np.abs(model.predict(held_back) - true).max() / true.std()
    assert error < 1e-2, f"the largest error is {error:.1e} of the spread"


def test_the_ends_alone_rank_orders():
    fit, held_back = schedules(40), schedules(40, seed=9)
    model = fit_simfluence(fit, LABELS, generated(fit)[:, -1:], [STEPS])
    for estimated, true in zip(
        model.predict(held_back).T, generated(held_back)[:, -1].T, strict=True
    ):
        assert spearmanr(estimated, true).statistic > 0.8


def penalized_errors(data, losses, fitted, tau):
    """Return the objective of a fit, from loops."""
    orders = list(data.schedules)
    ends = np.array([by_hand(fitted, order)[0, READOUTS] for order in orders])
    shrunk = fitted.coefficients[0] ** 2 / np.array([1e4] * 2 + [1.0] * 2 * (DOMAINS + UNITS))
    return ((ends - losses) ** 2).sum() + tau * shrunk.sum()


def test_no_change_of_a_coefficient_improves_the_fit():
    orders = np.stack(schedules(20))
    data = simfluence._Data.of(orders, LABELS, READOUTS)
    losses = (generated(orders)[..., 0] - 3) * 20
    fitted = data.fitted(losses, np.ones((1, 20), bool), 0.15, 0.1)
    least = penalized_errors(data, losses, fitted, 0.1)
    for column in range(fitted.coefficients.shape[1]):
        for change in (1e-3, -1e-3):
            moved = fitted.coefficients.copy()
            moved[0, column] += change
            other = Recursions(DOMAIN_OF, fitted.rate, moved)
            assert penalized_errors(data, losses, other, 0.1) > least


def test_a_fold_is_fitted_without_the_orders_that_it_holds_out():
    orders = np.stack(schedules(9))
    losses = (generated(orders)[..., 0] - 3) * 20
    data = simfluence._Data.of(orders, LABELS, READOUTS)
    used = np.arange(9) != 4
    fold = data.fitted(losses, used[None], 0.15, 0.1)
    rest = simfluence._Data.of(orders[used], LABELS, READOUTS)
    alone = rest.fitted(losses[used], np.ones((1, 8), bool), 0.15, 0.1)
    assert np.allclose(fold.coefficients, alone.coefficients, rtol=1e-7, atol=1e-9)


def test_rate_and_penalty_have_the_smallest_error_of_held_out_orders():
    orders = np.stack(schedules(5))
    data = simfluence._Data.of(orders, LABELS, READOUTS)
    noise = np.random.default_rng(5).standard_normal((5, 3, 2))
    losses = (generated(orders) - 3) * 20 + 0.3 * noise

    def error(rate, tau):
        total = 0.0
        for i, metric in np.ndindex(5, 2):
            rest = np.arange(5) != i
            part = simfluence._Data.of(orders[rest], LABELS, READOUTS)
            fitted = part.fitted(losses[rest, :, metric], np.ones((1, 4), bool), rate, tau)
            total += (by_hand(fitted, orders[i])[0, -1] - losses[i, -1, metric]) ** 2
        return total

    rates = [1 - np.exp(-forgetting / STEPS) for forgetting in simfluence.FORGETTING]
    pairs = [(rate, tau * data.largest(rate)) for rate in rates for tau in simfluence.PENALTIES]
    best = min(pairs, key=lambda pair: error(*pair))
    assert data.selected(losses) == pytest.approx(best)


def test_noise_is_not_fitted():
    rng = np.random.default_rng(4)
    losses = 4 + 0.01 * rng.standard_normal((16, 1, 3))
    model = fit_simfluence(schedules(16), LABELS, losses, [STEPS])
    predicted = model.predict(schedules(100, seed=9))
    spread = (predicted.std(0) / losses.std((0, 1))).max()
    assert spread < 0.1, f"the predictions follow the noise: {spread}"


def test_constant_losses_are_predicted_by_their_mean():
    model = fit_simfluence(schedules(4), LABELS, np.full((4, 1, 2), 4.0), [STEPS])
    assert np.allclose(model.predict(schedules(5, seed=9)), 4.0)
