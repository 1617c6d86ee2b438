"""Names of the metrics by which orders are compared, and their values from the domains' losses."""

from collections.abc import Sequence

import numpy as np

MAIN_METRIC = "heldout"  # mean over domains of the held-out loss; verdicts and figures are about it
AVERAGED = "averaged_"  # begins the names of the metrics of averaged weights
CHOICE_METRICS = ("choice_accuracy", "choice_probability")  # of the multiple-choice task


def metric_names(
    domains: Sequence[str], averaged: bool = False, choices: bool = False
) -> list[str]:
    """Return the metric names: `heldout`, the mean over domains, then one for each domain.

    With `averaged`, the same metrics of the averaged weights follow; with `choices`, those of the
    multiple-choice task at the last weights.

    Examples:
        >>> metric_names(["code"], averaged=True)
        ['heldout', 'heldout/code', 'averaged_heldout', 'averaged_heldout/code']
        >>> metric_names(["code"], choices=True)[2:4]
        ['choice_accuracy', 'choice_accuracy/code']

    """
    losses = _with_domains(MAIN_METRIC, domains)
    names = [*losses, *(AVERAGED + name for name in losses)] if averaged else losses
    if choices:
        names += [name for metric in CHOICE_METRICS for name in _with_domains(metric, domains)]
    return names


def _with_domains(metric: str, domains: Sequence[str]) -> list[str]:
    return [metric, *(f"{metric}/{domain}" for domain in domains)]


def is_loss(metric: str) -> bool:
    """Return whether a metric is a loss, which every estimator gives, and not one of a task."""
    return not metric.startswith(CHOICE_METRICS)


def domain_metrics(metrics: Sequence[str]) -> list[str]:
    """Return those of `metrics` that are losses of single domains at the last weights."""
    return [metric for metric in metrics if metric.startswith(f"{MAIN_METRIC}/")]


def metric_values(losses: np.ndarray, domains: int, choices: bool = False) -> np.ndarray:
    """Return the metrics (..., M), in the sequence of `metric_names`, from losses of D `domains`.

    Args:
        losses: (..., D) losses of the domains, or (..., 2 D) with those of the averaged weights.
        domains: D.
        choices: whether the study has a multiple-choice task; losses do not give its metrics, so
            they are NaN.

    """
    parts = []
    for start in range(0, losses.shape[-1], domains):
        part = losses[..., start : start + domains]
        parts += [part.mean(axis=-1, keepdims=True), part]
    if choices:
        parts.append(np.full((*losses.shape[:-1], len(CHOICE_METRICS) * (1 + domains)), np.nan))
    return np.concatenate(parts, axis=-1)
