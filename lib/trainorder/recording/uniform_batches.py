"""The checks of each micro-batch of a run, as it is seen: whether a study can train it again."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainorder.recording.record.equal_steps import check_shapes
from trainorder.recording.record.heldout import check_length
from trainorder.recording.record.model_inputs import checked_sequences
from trainorder.recording.record.targets import check_equal_targets

_WHERE = "recording: batch"


class UniformBatches:
    """Micro-batches that must be like the first one, and steps with the same number of them.

    Attributes:
        first: the micro-batches of the first step; empty before it.

    """

    def __init__(
        self, vocabulary: int, heldout: np.ndarray | None, first: Sequence[np.ndarray] = ()
    ) -> None:
        """Start before the first step, or after the step with the micro-batches `first`.

        Args:
            vocabulary: the number of tokens of the model.
            heldout: held-out sequences (n, L), which must be as long; None if there are none.
            first: micro-batches (n, L) of the first step of a record that is continued.

        """
        self.first = list(first)
        self._vocabulary, self._heldout = vocabulary, heldout
        self._example = self.first[0] if self.first else None

    def marked(
        self, tokens: Any, labels: Any, *, weights_tokens: bool, **inputs: Any
    ) -> np.ndarray:
        """Return a micro-batch (n, L) int32 for the record, ~t for a token t that is no target.

        Args:
            tokens: as in `Recorder.batch`.
            labels: likewise.
            weights_tokens: whether the loss is a mean over tokens.
            inputs: `attention_mask` and `position_ids`.

        Raises:
            UserError: a study cannot train on it as the run does.

        """
        batch = checked_sequences(_WHERE, tokens, labels, vocabulary=self._vocabulary, **inputs)
        if weights_tokens:
            check_equal_targets(_WHERE, batch)
        return batch

    def check_like_first(self, batch: np.ndarray, *, weights_tokens: bool) -> None:
        """Check a micro-batch (n, L) against the first one, which sets the form.

        Raises:
            UserError: it has another shape or, if the loss is a mean over tokens, another number of
                targets; or the held-out sequences have another length.

        """
        if self._example is None:
            self._example = batch
        check_shapes(_WHERE, [batch.shape], [self._example.shape])
        if weights_tokens:
            check_equal_targets(_WHERE, np.concatenate([self._example, batch]))
        if self._heldout is not None:
            check_length("recording: heldout", self._heldout, batch.shape[1])

    def check_step(self, batches: Sequence[np.ndarray]) -> None:
        """Check the micro-batches of an update against those of the first one.

        Raises:
            UserError: there is another number of them.

        """
        self.first = self.first or list(batches)
        shapes = [[one.shape for one in step] for step in (batches, self.first)]
        check_shapes("recording: update", *shapes)
