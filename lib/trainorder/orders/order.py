"""A named schedule."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.orders.kendall import kendall_distance

FREE = "free"  # the kind of a custom order that repeats or leaves out units on purpose
REFERENCE = "reference"  # the order, and the split that it is alone in
FIT = "fit"  # the split of the random orders that baselines are fitted on; nothing is scored on it


@dataclass(frozen=True)
class Order:
    """A named schedule.

    Attributes:
        name: unique in a study.
        kind: how it was made (`random`, `reversed`, ...); of a user's own `permutation` or `free`.
        split: `reference`, `calibration`, `random`, `fit`, `structured` or `custom`.
        schedule: `(steps, units_per_step)` int64, unit indices.

    """

    name: str
    kind: str
    split: str
    schedule: np.ndarray

    @classmethod
    def from_json(cls, path: str | Path) -> "Order":
        """Read the only order of a user's file, as `user_files.read_orders` describes it.

        Whether it fits a window is checked where it is used.

        Raises:
            UserError: the file is not readable, does not hold one order, or its name is one that
                the study gives.

        """
        from trainorder.orders.user_files import read_order  # it builds on this module

        return read_order(path)

    def as_dict(self, reference: "Order") -> dict[str, Any]:
        """Return the order as it stands in `orders.json`."""
        return {
            "name": self.name,
            "kind": self.kind,
            "split": self.split,
            "kendall": kendall_distance(self.schedule, reference.schedule),
            "schedule": self.schedule.tolist(),
        }
