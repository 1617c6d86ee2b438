"""Pack pairs of prompt and response into sequences; only the response is learnt."""

from collections.abc import Sequence

import numpy as np

from trainorder.data.packing import Packed, ShortfallError
from trainorder.data.tokenizer import Tokenizer

_BATCH = 64  # pairs per call of the tokenizer


def pack_pairs(
    prompts: Sequence[str], responses: Sequence[str], shape: tuple[int, int], tokenizer: Tokenizer
) -> Packed:
    """Return one sequence for each pair: prompt, response, end of text, padding.

    The response and its end of text are learnt. All other tokens are context tokens (see `Corpus`).
    If a pair is longer than a sequence, prompt and response each get half of the sequence, or more
    if the other one needs less. The beginning of the prompt and the end of the response are cut.
    An empty prompt is replaced by an end of text, because the first token is never predicted.

    Args:
        prompts: one per sequence.
        responses: one per sequence.
        shape: number of sequences, and tokens per sequence (at least 2).
        tokenizer: encodes prompts and responses separately.

    Raises:
        ShortfallError: there are fewer pairs than sequences.

    """
    count, _ = shape
    if len(responses) < count:
        raise ShortfallError(count, len(responses))
    sequences = np.full(shape, ~tokenizer.end, dtype=np.int32)
    cut = 0
    for first in range(0, count, _BATCH):
        batch = slice(first, first + _BATCH)
        encoded = zip(
            sequences[batch],
            tokenizer.encode(prompts[batch]),
            tokenizer.encode(responses[batch]),
            strict=True,
        )
        cut += sum(_fill(row, prompt, response, tokenizer.end) for row, prompt, response in encoded)
    return Packed(sequences, count, cut)


def _fill(row: np.ndarray, prompt: np.ndarray, response: np.ndarray, end: int) -> bool:
    """Write a pair into `row` (length,) and return whether it was cut."""
    context = prompt if len(prompt) else np.array([end], dtype=np.int32)
    learnt = np.append(response, np.int32(end))
    half = len(row) // 2
    start = min(len(context), max(half, len(row) - len(learnt)))
    row[:start] = ~context[-start:]
    target = row[start : start + len(learnt)]
    target[:] = learnt[: len(target)]
    return start < len(context) or len(target) < len(learnt)
