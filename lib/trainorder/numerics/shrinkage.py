"""Shrinkage of noisy group means towards a common mean, with weights estimated from the data."""

import torch
from torch import Tensor


def weights(noise: Tensor, total: Tensor, shares: Tensor) -> Tensor:
    """Return the weight of each group's own mean against the common mean, (C,) in [0, 1].

        w = signal / (signal + noise),    signal = mean over groups of (total - added)

    where `added` is the expected contribution of noise to `total`. This is the empirical Bayes
    factor of James and Stein (1961; Efron and Morris 1973), with one signal variance for all groups
    and a separate noise for each group. 1 keeps the group's mean, 0 uses the common mean.

    Args:
        noise: (C,) expected squared error of each group's mean, see `split_noise`.
        total: (C,) squared distance of each group's mean to the common mean.
        shares: (C,) weights of the groups in the common mean, summing to 1.

    """
    # The common mean contains a share of each group's own noise.
    added = noise * (1 - 2 * shares) + (shares**2 * noise).sum()
    signal = (total - added).mean().clamp(min=0)
    return torch.where(signal + noise > 0, signal / (signal + noise).clamp(min=1e-300), 1.0)


def split_noise(first: Tensor, second: Tensor) -> Tensor:
    """Return an unbiased estimate of the squared error of a mean of two estimates, (...,).

    Two disjoint halves of a sample give independent estimates a and b (..., n) of one vector. The
    expected squared error of their mean (a + b) / 2 is estimated by |a - b|^2 / 4.
    """
    return ((first - second) ** 2).sum(-1) / 4
