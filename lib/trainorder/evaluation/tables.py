"""The result tables: truth.csv, estimates.csv and trajectories.csv."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainorder.errors import UserError
from trainorder.evaluation.conformal import interval_ends
from trainorder.evaluation.conformal_range import is_beyond
from trainorder.evaluation.outcomes import (
    Floats,
    Outcomes,
)
from trainorder.evaluation.scores import Joined, relative_norm
from trainorder.orders.order import REFERENCE
from trainorder.storage.formats import write_csv


@dataclass(frozen=True)
class Outputs:
    """The files that validation writes; `docs/results.md` describes each."""

    truth: str
    truth_losses: str
    estimates: str
    trajectories: str
    validation: str
    costs: str


def write_truth(outputs: Outputs, truth: Outcomes) -> None:
    """Write `truth.csv` and `truth_losses.csv`."""
    write_csv(
        outputs.truth,
        ["order", "metric", "value"],
        (
            (order, metric, value)
            for order, row in zip(truth.orders, truth.value.tolist(), strict=True)
            for metric, value in zip(truth.metrics, row, strict=True)
        ),
    )
    write_csv(
        outputs.truth_losses,
        ["order", "step", "loss"],
        (
            (order, step, loss)
            for order, row in zip(truth.orders, truth.train_loss.tolist(), strict=True)
            for step, loss in enumerate(row)
        ),
    )


def write_estimates(
    path: str,
    joined: Sequence[Joined],
    estimates: Mapping[str, Outcomes],
    metrics: Sequence[str],
    scores: Mapping[str, Any],
) -> None:
    """Write `estimates.csv`: every estimate with its interval."""

    def rows() -> Iterator[tuple[Any, ...]]:
        for part in joined:
            estimate, score = estimates[part.name], scores[part.name]
            radii, ranges = score["interval_radius"], score["calibrated_range"]
            seconds = score["cost"]["seconds_per_order"]
            for order, values in zip(estimate.orders, estimate.value.tolist(), strict=True):
                for metric, value in zip(metrics, values, strict=True):
                    ends, limits = interval_ends(value, radii[metric]), ranges[metric]
                    beyond = None if limits is None else int(is_beyond(value, limits))
                    yield part.name, order, metric, value, *ends, beyond, seconds

    header = ["estimator", "order", "metric", "value", "low", "high", "beyond", "seconds"]
    write_csv(path, header, rows())


def write_trajectories(path: str, joined: Sequence[Joined], truth: Outcomes) -> None:
    """Write the parameter error at the end of every order, and along the followed ones.

    All are in units of the order's displacement from the reference at the end of the window, so
    that an error's growth is its own and not that of its yardstick.
    """
    end = truth.sketch[truth.rows([REFERENCE])[0]]

    def rows() -> Iterator[tuple[Any, ...]]:
        for part in joined:
            for order, final in zip(part.orders, part.parameter_error.tolist(), strict=True):
                # NaN: the reference's own schedule under another name has no displacement.
                if not math.isnan(final):
                    along = _error_before_end(part, truth, order, end)
                    for step, error in enumerate(along):
                        yield part.name, order, step, error
                    yield part.name, order, truth.train_loss.shape[1], final

    write_csv(path, ["estimator", "order", "step", "parameter_error"], rows())


def _error_before_end(part: Joined, truth: Outcomes, order: str, end: Floats) -> list[float]:
    """Return the parameter error before each step; empty where the order was not followed."""
    mine, true = part.estimate.trajectories.get(order), truth.trajectories.get(order)
    if mine is None or true is None:
        return []
    if mine.shape != true.shape:
        raise UserError(
            f"estimates/{part.name}: the trajectory of `{order}` has another shape than the "
            "truth's; rerun rule `estimate`"
        )
    return [float(x) for x in relative_norm(mine - true, true[-1] - end)[:-1]]
