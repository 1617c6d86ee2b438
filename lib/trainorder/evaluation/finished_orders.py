"""The outcomes of orders that a job has finished, until it publishes them all.

A killed job does not train these orders again. Without them it would have to keep the last state of
each, which for a large model is gigabytes.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.errors import UserError
from trainorder.evaluation.outcome_arrays import Arrays
from trainorder.storage.sealed_hdf5 import creating, opened
from trainorder.training.meter import Meter

SPENT = "spent"  # the attribute with the passes and seconds of an order


@dataclass(frozen=True)
class FinishedOrders:
    """The outcomes in a folder, one file for each order. A damaged file counts as absent.

    Attributes:
        folder: the folder; it is removed with the other files of the job.
        key: the study key.
        meter: counts the passes and seconds of an order, also of one that was finished before.

    """

    folder: Path
    key: str
    meter: Meter

    def outcome(self, place: int, retrain: Callable[[], Arrays]) -> Arrays:
        """Return the outcome of an order, from its file if an earlier process finished it.

        Args:
            place: of the order in its job.
            retrain: returns the arrays of the order.

        """
        file = self.folder / f"{place}.h5"
        try:
            return self._read(file)
        except UserError:
            before = self.meter.as_dict()
            arrays = retrain()
        with creating(file, self.key) as content:
            for name, array in arrays.items():
                content.create_dataset(name, data=array)
            content.attrs.create(SPENT, spent_since(before, self.meter))
        return arrays

    def _read(self, file: Path) -> Arrays:
        with opened(file, self.key, "truth") as content:
            arrays = {name: np.asarray(content[name]) for name in content}
            spent = str(content.attribute(SPENT))
        count_again(self.meter, spent)
        return arrays


def count_again(meter: Meter, spent: str) -> None:
    """Add to `meter` what an earlier process spent, as `spent_since` returned it."""
    record = json.loads(spent)
    meter.orders += record["orders"]
    for span, counts in record["counts"].items():
        for kind, sequences in counts.items():
            meter.add(kind, sequences, span)
    for span, seconds in record["seconds"].items():
        meter.seconds[span] += seconds


def spent_since(before: Mapping[str, Any], meter: Meter) -> str:
    """Return the orders, passes and seconds that `meter` counted since its record `before`."""
    now = meter.as_dict()
    spent = {
        "orders": now["orders"] - before["orders"],
        "counts": {
            span: {
                kind: sequences - before["counts"].get(span, {}).get(kind, 0)
                for kind, sequences in counts.items()
            }
            for span, counts in now["counts"].items()
        },
        "seconds": {
            span: seconds - before["seconds"].get(span, 0.0)
            for span, seconds in now["seconds"].items()
        },
    }
    return json.dumps(spent)
