"""Shrinkage of noisy group means towards a common mean, with weights estimated from the data."""

import torch
from torch import Tensor


def weights(noise: Tensor, total: Tensor, shares: Tensor) -> Tensor:
    """Return how far each group's own mean is to be believed, (C,) in [0, 1].

    What the groups' means differ from their common mean by more than their noise is signal, and

        w = signal / (signal + noise),    signal = E [total - what the noise adds to it],

    the empirical Bayes factor of James and Stein (1961; Efron and Morris 1973), with the signal's
    variance common to the groups and each group's own noise. 1 keeps the group's mean, 0 takes the
    common one.

    Args:
        noise: (C,) expected squared error of each group's mean, as from `split_noise`.
        total: (C,) squared distance of each group's mean from the common mean.
        shares: (C,) weights of the groups in the common mean, summing to 1.

    """
    # the common mean holds a share of each group's own noise
    added = noise * (1 - 2 * shares) + (shares**2 * noise).sum()
    signal = (total - added).mean().clamp(min=0)
    return torch.where(signal + noise > 0, signal / (signal + noise).clamp(min=1e-300), 1.0)


def split_noise(first: Tensor, second: Tensor) -> Tensor:
    """Return the expected squared error of the mean of two halves' estimates (..., n), (...,).

    Two disjoint halves of a sample give independent estimates a and b of the same vector: of their
    mean, |a - b|^2 / 4 is an unbiased estimate of it.
    """
    return ((first - second) ** 2).sum(-1) / 4
