"""The micro-batches whose gradients the parameters hold.

Loops clear gradients also without an update, for example if gradient scaling skips it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor


class AccumulatedBatches:
    """Micro-batches since the gradients were last cleared.

    A micro-batch is noted before its backward pass. Where this pass finds gradients that are
    cleared, the earlier micro-batches have no part in the next update, so they are dropped.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        """Follow the gradients of parameters, until `detach`."""
        self._parameters = parameters
        self._noted: list[np.ndarray] = []
        self._added: list[np.ndarray] = []
        self._hooks = [one.register_hook(self._before_accumulation) for one in parameters]

    def note(self, batch: np.ndarray) -> None:
        """Note a micro-batch whose backward pass follows."""
        self._noted.append(batch)

    def take(self) -> list[np.ndarray]:
        """Return the micro-batches in the gradients, and forget them."""
        batches = self._added + self._noted
        self._added, self._noted = [], []
        return batches

    def detach(self) -> None:
        """Stop following the gradients."""
        for hook in self._hooks:
            hook.remove()

    def _before_accumulation(self, _: Any) -> None:
        """Sort the noted micro-batches in, before their backward pass adds the first gradient."""
        if not self._noted:
            return
        if self._are_cleared:
            self._added = []
        self._added += self._noted
        self._noted = []

    @property
    def _are_cleared(self) -> bool:
        return all(one.grad is None or not bool(one.grad.any()) for one in self._parameters)
