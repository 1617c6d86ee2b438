"""Shrunk group means are nearer to the truth than the groups' own means and than the common one."""

import pytest
import torch

from trainorder.numerics.shrinkage import split_noise, weights

SIZE = 40


def groups(count, spread, noise, seed, shares=None):
    """Return the true means of groups, and two halves' estimates of each, (C, SIZE)."""
    generator = torch.Generator().manual_seed(seed)

    def normal():
        return torch.randn(count, SIZE, generator=generator, dtype=torch.float64)

    truth = torch.ones(SIZE, dtype=torch.float64) + spread * normal()
    return truth, truth + noise * normal(), truth + noise * normal()


def shrunk(first, second, shares):
    """Return the groups' own means, the common mean, and the weights between them."""
    own = (first + second) / 2
    common = shares @ own
    total = ((own - common) ** 2).sum(-1)
    return own, common, weights(split_noise(first, second), total, shares)


def even(count):
    return torch.full((count,), 1 / count, dtype=torch.float64)


def test_the_noise_of_halves_is_the_expected_squared_error_of_their_mean():
    errors, found = [], []
    for seed in range(200):
        truth, first, second = groups(3, 1.0, 0.7, seed)
        errors.append((((first + second) / 2 - truth) ** 2).sum(-1))
        found.append(split_noise(first, second))
    ratio = torch.stack(found).mean() / torch.stack(errors).mean()
    assert float(ratio) == pytest.approx(1, abs=0.02), "|a - b|^2 / 4 is off by a factor"


def test_groups_that_differ_without_noise_are_believed():
    _, first, second = groups(4, 1.0, 0.0, 0)
    assert torch.equal(shrunk(first, second, even(4))[2], torch.ones(4, dtype=torch.float64))


def test_groups_that_differ_by_much_more_than_their_noise_are_believed():
    _, first, second = groups(4, 1.0, 0.01, 0)
    assert float(shrunk(first, second, even(4))[2].min()) > 0.99


def test_identical_groups_with_noise_are_not_believed():
    found = torch.stack([shrunk(*groups(4, 0.0, 1.0, s)[1:], even(4))[2] for s in range(100)])
    assert float(found.mean()) < 0.1, "what the noise adds to the groups' spread counts as signal"
    assert float(found.min()) >= 0


def test_a_single_group_without_noise_is_its_own_mean():
    one = torch.ones(1, SIZE, dtype=torch.float64)
    assert float(shrunk(one, one, even(1))[2]) == 1


def test_the_noisier_of_two_groups_is_believed_less():
    _, first, second = groups(2, 1.0, 0.3, 0)
    middle = (first[1] + second[1]) / 2
    first[1], second[1] = middle + 4 * (first[1] - middle), middle + 4 * (second[1] - middle)
    found = shrunk(first, second, even(2))[2]
    assert found[1] < found[0]


@pytest.mark.parametrize("spread", [0.3, 0.7, 1.5])
@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.25] * 4, [0.6, 0.1, 0.1, 0.1, 0.1]])
def test_shrinkage_lowers_the_squared_error_against_both_extremes(spread, shares):
    shares = torch.tensor(shares, dtype=torch.float64)
    errors = torch.zeros(3, dtype=torch.float64)
    for seed in range(300):
        truth, first, second = groups(len(shares), spread, 1.0, seed)
        own, common, weight = shrunk(first, second, shares)
        between = common + weight[:, None] * (own - common)
        errors += torch.stack([((x - truth) ** 2).sum() for x in (between, own, common)])
    between, own, common = (errors / errors[0]).tolist()
    assert between < own, f"worse than the groups' own means: {own:.3f}"
    assert between < common, f"worse than the common mean: {common:.3f}"
