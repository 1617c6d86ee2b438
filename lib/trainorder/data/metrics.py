"""Names of the metrics by which orders are compared, and their values from the domains' losses."""

from collections.abc import Sequence

import numpy as np

AVERAGED = "averaged_"  # begins the names of the metrics of averaged weights


def metric_names(domains: Sequence[str], averaged: bool = False) -> list[str]:
    """Return the metric names: `heldout`, the mean over domains, then one for each domain.

    With `averaged`, the same metrics of the averaged weights follow.

    Examples:
        >>> metric_names(["code"], averaged=True)
        ['heldout', 'heldout/code', 'averaged_heldout', 'averaged_heldout/code']

    """
    names = ["heldout", *(f"heldout/{domain}" for domain in domains)]
    return [*names, *(AVERAGED + name for name in names)] if averaged else names


def domain_metrics(metrics: Sequence[str]) -> list[str]:
    """Return those of `metrics` that are losses of single domains at the last weights."""
    return [metric for metric in metrics if metric.startswith("heldout/")]


def metric_values(losses: np.ndarray, domains: int) -> np.ndarray:
    """Return the metrics (..., M), in the sequence of `metric_names`, from losses of D `domains`.

    Args:
        losses: (..., D) losses of the domains, or (..., 2 D) with those of the averaged weights.
        domains: D.

    """
    parts = []
    for start in range(0, losses.shape[-1], domains):
        part = losses[..., start : start + domains]
        parts += [part.mean(axis=-1, keepdims=True), part]
    return np.concatenate(parts, axis=-1)
