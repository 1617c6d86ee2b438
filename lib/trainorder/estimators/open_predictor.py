"""Loads what an estimator of rule `predict` reads: the reduced model or the effects."""

from importlib import import_module
from pathlib import Path
from typing import Protocol

from torch import Tensor

from trainorder.config.methods import METHODS


class Predictor(Protocol):
    """Predicts the losses of whole schedules from one file of the store.

    Attributes:
        goals: the D names of the goals.
        averaged_states: number of last states whose mean is read, too; None for none.

    """

    goals: list[str]
    averaged_states: int | None

    def predict(self, schedules: Tensor) -> Tensor:
        """Return the losses (O, L) at the end of `schedules` (O, T, k) int64; L is D or 2 D."""
        ...


def load_predictor(method: str, file: str | Path, key: str | None) -> Predictor:
    """Return the predictor of a method of rule `predict` from its file.

    The code hash follows the import through the method's descriptor, not through this module.

    Raises:
        UserError: the file is missing, damaged or belongs to another study.

    """
    module, _, name = METHODS[method].implementation.rpartition(".")
    predictor: Predictor = getattr(import_module(module), name).load(file, key)
    return predictor
