"""Shrunk group means have smaller errors than the groups' own means and than the common mean."""

import pytest
import torch

from trainorder.numerics.shrinkage import split_noise, weights

SIZE = 40


def groups(count, spread, noise, seed, shares=None):
    """Return the true means of groups and two independent estimates of them, each (C, SIZE)."""
    generator = torch.Generator().manual_seed(seed)

    def normal():
        return torch.randn(count, SIZE, generator=generator, dtype=torch.float64)

    truth = torch.ones(SIZE, dtype=torch.float64) + spread * normal()
    return truth, truth + noise * normal(), truth + noise * normal()


def shrunk(first, second, shares):
    """Return the groups' own means, the common mean, and the weights of the own means."""
    own = (first + second) / 2
    common = shares @ own
    total = ((own - common) ** 2).sum(-1)
    return own, common, weights(split_noise(first, second), total, shares)


def even(count):
    return torch.full((count,), 1 / count, dtype=torch.float64)


def test_the_noise_of_halves_is_the_expected_squared_error_of_their_mean():
    errors, estimates = [], []
    for seed in range(200):
        truth, first, second = groups(3, 1.0, 0.7, seed)
        errors.append((((first + second) / 2 - truth) ** 2).sum(-1))
        estimates.append(split_noise(first, second))
    ratio = torch.stack(estimates).mean() / torch.stack(errors).mean()
    assert float(ratio) == pytest.approx(1, abs=0.02), "|a - b|^2 / 4 is wrong by a factor"


def test_weights_are_one_without_noise():
    _, first, second = groups(4, 1.0, 0.0, 0)
    assert torch.equal(shrunk(first, second, even(4))[2], torch.ones(4, dtype=torch.float64))


def test_weights_are_near_one_if_the_noise_is_small():
    _, first, second = groups(4, 1.0, 0.01, 0)
    assert float(shrunk(first, second, even(4))[2].min()) > 0.99


def test_weights_of_identical_groups_with_noise_are_near_zero():
    weight = torch.stack([shrunk(*groups(4, 0.0, 1.0, s)[1:], even(4))[2] for s in range(100)])
    assert float(weight.mean()) < 0.1, "the spread from noise counts as signal"
    assert float(weight.min()) >= 0


def test_a_single_group_without_noise_keeps_its_own_mean():
    one = torch.ones(1, SIZE, dtype=torch.float64)
    assert float(shrunk(one, one, even(1))[2]) == 1


def test_the_noisier_of_two_groups_has_the_smaller_weight():
    _, first, second = groups(2, 1.0, 0.3, 0)
    middle = (first[1] + second[1]) / 2
    first[1], second[1] = middle + 4 * (first[1] - middle), middle + 4 * (second[1] - middle)
    weight = shrunk(first, second, even(2))[2]
    assert weight[1] < weight[0]


@pytest.mark.parametrize("spread", [0.3, 0.7, 1.5])
@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.25] * 4, [0.6, 0.1, 0.1, 0.1, 0.1]])
def test_shrinkage_has_a_smaller_squared_error_than_both_extremes(spread, shares):
    shares = torch.tensor(shares, dtype=torch.float64)
    errors = torch.zeros(3, dtype=torch.float64)
    for seed in range(300):
        truth, first, second = groups(len(shares), spread, 1.0, seed)
        own, common, weight = shrunk(first, second, shares)
        means = common + weight[:, None] * (own - common)
        errors += torch.stack([((x - truth) ** 2).sum() for x in (means, own, common)])
    shrunk_error, own_error, common_error = (errors / errors[0]).tolist()
    assert shrunk_error < own_error, f"worse than the groups' own means: {own_error:.3f}"
    assert shrunk_error < common_error, f"worse than the common mean: {common_error:.3f}"
