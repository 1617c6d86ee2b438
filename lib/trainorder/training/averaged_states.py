"""The mean of the last states of a training: averaged weights, a second readout of an order.

Weight averages along a constant learning rate are usual in place of a decay (Izmailov et al. 2018,
"Averaging Weights Leads to Wider Optima and Better Generalization").
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from trainorder.numerics import large_tensors

_STORED = "averaged_"  # begins the names of records of a checkpoint


def averaged_steps(readout: int, count: int) -> range:
    """Return the numbers of updates after which the states of a mean are taken.

    They are the last `count` up to the readout: readout - count + 1, ..., readout. The state before
    the first update of the window belongs to no mean, so an early readout has fewer states.

    Args:
        readout: number of updates of the window at the readout.
        count: k, the number of states of a mean.

    Examples:
        >>> averaged_steps(32, 3), averaged_steps(2, 3)
        (range(30, 33), range(1, 3))

    """
    return range(max(1, readout - count + 1), readout + 1)


class AveragedStates:
    """The means of the last k states at some readouts, while the states of a window pass by.

    mean_r = (1 / n) sum of gamma_t over t = r - n + 1 ... r, with n = min(k, r), where gamma_t are
    the parameters after t updates of the window. The sum is a running mean in the dtype of the
    parameters. Without k there are no means, and nothing is stored.

    Attributes:
        steps: for each readout, the numbers of updates whose states are in its mean.

    """

    def __init__(self, readouts: Sequence[int], count: int | None) -> None:
        """Begin before the window.

        Args:
            readouts: numbers of updates of the window.
            count: k; None for no means.

        """
        self.steps = {r: averaged_steps(r, count) for r in readouts} if count else {}
        self._means: dict[int, Tensor] = {}  # of the readouts that have begun and are not taken

    def needs(self, t: int) -> bool:
        """Return whether a mean contains the state after `t` updates."""
        return any(t in steps for steps in self.steps.values())

    def add(self, t: int, parameters: Tensor) -> None:
        """Add the parameters (P,) or (O, P) after `t` updates; other steps change nothing."""
        for readout, steps in self.steps.items():
            if t == steps[0]:
                self._means[readout] = _copy(parameters)
            elif t in steps:
                mean = self._means[readout]
                if _is_shared(mean) and not _is_shared(parameters):
                    mean = self._means[readout] = large_tensors.copy(mean)
                _move_towards(parameters, mean, 1 / (t - steps[0] + 1))

    def take(self, readout: int) -> Tensor | None:
        """Return the mean (P,) or (O, P) at `readout`, and forget it; None without means."""
        return self._means.pop(readout) if self.steps else None

    def records(self) -> dict[str, np.ndarray]:
        """Return the unfinished means (P,), which belong to the checkpoint of a training."""
        return {f"{_STORED}{readout}": mean.numpy() for readout, mean in self._means.items()}

    def restore(self, records: Mapping[str, np.ndarray]) -> None:
        """Continue from the records of a checkpoint."""
        self._means = {
            int(name.removeprefix(_STORED)): torch.from_numpy(array)
            for name, array in records.items()
            if name.startswith(_STORED)
        }


def _is_shared(parameters: Tensor) -> bool:
    """Return whether all orders of (O, P) are views of one row, as on the expansion path."""
    return parameters.stride(0) == 0


def _copy(parameters: Tensor) -> Tensor:
    """Return a copy; of shared parameters, one row is copied and shared."""
    if not _is_shared(parameters):
        return large_tensors.copy(parameters)
    return large_tensors.copy(parameters[:1]).expand_as(parameters)


def _move_towards(parameters: Tensor, mean: Tensor, weight: float) -> None:
    """Move `mean` by a share of its distance to `parameters`, in place."""
    if _is_shared(mean):
        mean, parameters = mean[:1], parameters[:1]
    for columns in large_tensors.column_blocks(mean.shape[:-1].numel(), mean.shape[-1]):
        mean[..., columns].lerp_(parameters[..., columns], weight)
