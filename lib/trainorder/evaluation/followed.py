"""What is recorded of an order that is followed along the window, before each step and at the end.

A sketch of its parameters, and with `stepwise_losses` its metrics.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from trainorder.numerics.countsketch import SparseJL
from trainorder.training.problem import LanguageProblem

STEPWISE = "stepwise"  # the span of metrics that are taken at every step


@dataclass(frozen=True)
class Followed:
    """What is recorded of followed orders.

    Attributes:
        problem: the learning problem.
        sketch: of parameters.
        stepwise: whether the metrics are taken at every step, too.

    """

    problem: LanguageProblem
    sketch: SparseJL
    stepwise: bool

    def __call__(self, theta: Tensor) -> np.ndarray:
        """Return the record (k + L,) float64 of parameters (P,)."""
        record: np.ndarray = self.of_rows(theta[None], [0])[0]
        return record

    def of_rows(self, parameters: Tensor, rows: Sequence[int]) -> np.ndarray:
        """Return the records (n, k + L) float64 of the n `rows` of parameters (O, P).

        A record is the sketch, of k numbers, and then the L metrics: D + 1, or none.
        """
        sketches = np.stack([self.sketch(parameters[row]).numpy() for row in rows])
        if not self.stepwise:
            return sketches.astype(np.float64)
        with self.problem.meter.time(STEPWISE):
            losses = np.stack([self.problem.evaluate(parameters[row]) for row in rows])
        return np.concatenate([sketches.astype(np.float64), losses], axis=1)

    def count_resumed(self, rows: int) -> None:
        """Count the passes of `rows` records that were made before the job was killed."""
        if self.stepwise:
            sequences = math.prod(self.problem.corpus.heldout.shape[:2])
            self.problem.meter.add("losses", rows * sequences, span=STEPWISE)
