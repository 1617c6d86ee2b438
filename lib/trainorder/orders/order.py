"""A named schedule."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.orders.kendall import kendall_distance

FREE = "free"  # kind of a user's order that repeats or omits units on purpose
REFERENCE = "reference"  # name and split of the reference order
HELD_BACK = "random"  # split of the random orders that scores are about
CALIBRATION = "calibration"  # split of the random orders that estimates are recalibrated on
FIT = "fit"  # split of the random orders that baselines are fitted on; no score uses it


@dataclass(frozen=True)
class Order:
    """A named schedule.

    Attributes:
        name: unique in a study.
        kind: how the schedule was generated (`random`, `reversed`, ...); `permutation` or `free`
            for a user's order.
        split: `reference`, `calibration`, `random`, `fit`, `structured` or `custom`.
        schedule: `(steps, units_per_step)` int64, unit indices.

    Examples:
        >>> import numpy as np
        >>> Order("mine", "permutation", "custom", np.array([[2, 0], [1, 3]])).schedule.shape
        (2, 2)

    """

    name: str
    kind: str
    split: str
    schedule: np.ndarray

    @classmethod
    def from_json(cls, path: str | Path) -> "Order":
        """Read the only order of a user's file; `read_orders` describes the formats.

        The schedule is not compared with a window here; `Study.estimate` and the other methods
        that take an order do this.

        Args:
            path: file with one order, for example JSON `{"name": "mine", "schedule": [2, 0, 1]}`.

        Raises:
            UserError: the file is not readable, holds more than one order, or uses a name that is
                reserved for orders of the study.

        """
        from trainorder.orders.user_files import read_order  # user_files imports this module

        return read_order(path)

    def as_dict(self, reference: "Order") -> dict[str, Any]:
        """Return the entry of this order in `orders.json`, with its distance from `reference`."""
        return {
            "name": self.name,
            "kind": self.kind,
            "split": self.split,
            "kendall": kendall_distance(self.schedule, reference.schedule),
            "schedule": self.schedule.tolist(),
        }
