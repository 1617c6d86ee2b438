"""What a size or a rank that is tried on the calibration orders reaches there."""

from collections.abc import Mapping
from typing import Any

from trainorder.data.metrics import MAIN_METRIC
from trainorder.evaluation.verdict import MIN_CALIBRATION, NOT_CALIBRATED
from trainorder.orders.order import CALIBRATION


class TriedLevel:
    """The numbers of a level, from the scores of its estimates of the calibration orders.

    Attributes:
        scores: the entry that the estimates would have in `validation.json`; None if the study has
            too few calibration orders to try the level.

    """

    scores: Mapping[str, Any] | None

    @property
    def verdict(self) -> str:
        """The verdict on the estimates of this level."""
        return NOT_CALIBRATED if self.scores is None else str(self.scores["verdict"])

    @property
    def verdict_reason(self) -> str:
        """Why it has this verdict."""
        if self.scores is None:
            return f"fewer than {MIN_CALIBRATION} calibration orders"
        return str(self.scores["verdict_reason"])

    @property
    def relative_error(self) -> float | None:
        """The relative error on the calibration orders; a trusted level has one."""
        if self.scores is None:
            return None
        error: float | None = self.scores["relative_error"][MAIN_METRIC][CALIBRATION]
        return error

    def scores_record(self) -> dict[str, Any]:
        """Return the part of the level's entry in a result file that is about its scores."""
        return {
            "order_lds": self.scores and self.scores["order_lds"][MAIN_METRIC][CALIBRATION],
            "relative_error": self.relative_error,
            "verdict": self.verdict,
            "verdict_reason": self.verdict_reason,
        }
