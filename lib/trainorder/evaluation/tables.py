"""Writes the result tables: the CSV files of a study.

They are written with the module `csv`: an undefined cell is empty and a diverged one is `nan`,
which pandas cannot tell apart. Floats have the digits that read back as the same number.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from trainorder.data.metrics import is_loss
from trainorder.errors import UserError
from trainorder.evaluation import result_files
from trainorder.evaluation.calibrated_range import is_beyond
from trainorder.evaluation.outcomes import Floats, Outcomes
from trainorder.evaluation.paired_outcomes import PairedOutcomes, relative_norm
from trainorder.evaluation.recalibration import Recalibration
from trainorder.numerics.resampling import finite
from trainorder.orders.order import CALIBRATION, REFERENCE
from trainorder.storage.formats import write_csv


def write_truth(path: str, truth: Outcomes) -> None:
    """Write `truth.csv`: the metrics of every order."""
    write_csv(
        path,
        result_files.TRUTH.fields,
        (
            (order, metric, value)
            for order, row in zip(truth.orders, truth.value.tolist(), strict=True)
            for metric, value in zip(truth.metrics, row, strict=True)
        ),
    )


def write_truth_losses(path: str, truth: Outcomes) -> None:
    """Write `truth_losses.csv`: the training loss of every order at each step."""
    write_csv(
        path,
        result_files.TRUTH_LOSSES.fields,
        (
            (order, step, loss)
            for order, row in zip(truth.orders, truth.train_loss.tolist(), strict=True)
            for step, loss in enumerate(row)
        ),
    )


def write_estimates(
    path: str,
    pairs: Sequence[PairedOutcomes],
    metrics: Sequence[str],
    scores: Mapping[str, Any],
) -> None:
    """Write `estimates.csv`: every estimate, raw and recalibrated, with its interval.

    A metric of a task has no rows of an estimator that does not give it.
    """

    def rows() -> Iterator[tuple[Any, ...]]:
        for paired in pairs:
            estimate, score = paired.estimate, scores[paired.name]
            seconds = score["cost"]["seconds_per_order"]
            recalibrated = _recalibrated(paired, score["recalibration"], metrics)
            given = [
                (column, metric)
                for column, metric in enumerate(metrics)
                if is_loss(metric) or np.isfinite(estimate.value[:, column]).any()
            ]
            for row, order in enumerate(estimate.orders):
                for column, metric in given:
                    raw, limits = float(estimate.value[row, column]), score["calibrated_range"]
                    value, *ends = recalibrated[row, column].tolist()
                    beyond = int(is_beyond(raw, limits[metric])) if limits[metric] else None
                    yield (
                        *(paired.name, order, metric, raw, value),
                        *(finite(end) for end in ends),
                        *(beyond, seconds),
                    )

    write_csv(path, result_files.ESTIMATES.fields, rows())


def _recalibrated(
    paired: PairedOutcomes, records: Mapping[str, Any], metrics: Sequence[str]
) -> Floats:
    """Return (O, M, 3): value, low and high of all estimates, the reference order included."""
    names = {paired.orders[row] for row in paired.rows_of(CALIBRATION)}
    calibration = np.array([order in names for order in paired.estimate.orders], dtype=bool)
    return np.stack(
        [
            Recalibration.from_record(records[metric]).estimates(raw, calibration)
            for metric, raw in zip(metrics, paired.estimate.value.T, strict=True)
        ],
        axis=1,
    )


def write_trajectories(path: str, pairs: Sequence[PairedOutcomes], truth: Outcomes) -> None:
    """Write `trajectories.csv`: the parameter error at the end, and along the followed orders.

    All errors of an order are relative to its final displacement from the reference, so that the
    unit does not change along the window.
    """
    end = truth.sketch[truth.rows([REFERENCE])[0]]

    def rows() -> Iterator[tuple[Any, ...]]:
        for paired in pairs:
            for order, final in zip(paired.orders, paired.parameter_error.tolist(), strict=True):
                # NaN: an order with the reference's schedule has no displacement.
                if not math.isnan(final):
                    for step, error in enumerate(_errors_before_end(paired, truth, order, end)):
                        yield paired.name, order, step, error
                    yield paired.name, order, truth.train_loss.shape[1], final

    write_csv(path, result_files.TRAJECTORIES.fields, rows())


def write_stepwise_losses(path: str, pairs: Sequence[PairedOutcomes], truth: Outcomes) -> None:
    """Write `stepwise_losses.csv`: estimated and true metrics of followed orders at each step."""

    def rows() -> Iterator[tuple[Any, ...]]:
        for paired in pairs:
            for order, estimated in paired.estimate.stepwise.items():
                losses = np.stack([estimated, truth.stepwise[order]], axis=2)  # (T+1, L, 2)
                for step, of_step in enumerate(losses.tolist()):
                    for metric, values in zip(truth.metrics, of_step, strict=False):
                        yield paired.name, order, step, metric, *values

    write_csv(path, result_files.STEPWISE_LOSSES.fields, rows())


def _errors_before_end(
    paired: PairedOutcomes, truth: Outcomes, order: str, end: Floats
) -> list[float]:
    """Return the parameter error before each step; empty if the order was not followed."""
    estimated, true = paired.estimate.trajectories.get(order), truth.trajectories.get(order)
    if estimated is None or true is None:
        return []
    if estimated.shape != true.shape:
        raise UserError(
            f"estimates/{paired.name}: the trajectory of `{order}` has a different shape from that "
            "of the truth; rerun rule `estimate`"
        )
    return [float(x) for x in relative_norm(estimated - true, true[-1] - end)[:-1]]
