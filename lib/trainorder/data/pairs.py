"""Pairs of prompt and response to sequences, of which only the response is learnt."""

from collections.abc import Sequence

import numpy as np

from trainorder.data.packing import Packed, ShortfallError
from trainorder.data.tokenizer import Tokenizer

_BATCH = 64  # pairs encoded at a time


def pack_pairs(
    prompts: Sequence[str], responses: Sequence[str], shape: tuple[int, int], tokenizer: Tokenizer
) -> Packed:
    """Make a sequence of each pair: prompt, response, end of text, padding.

    The response and its end of text are learnt; all other tokens are given, see `Corpus`. Where a
    pair is longer than a sequence, prompt and response each keep half of it, or more if the other
    needs less: the prompt loses its beginning, the response its end. The first token of a sequence
    cannot be predicted, so an end of text stands for an empty prompt.

    Args:
        prompts: one a sequence.
        responses: one a sequence.
        shape: sequences, and tokens of each, at least 2.
        tokenizer: encodes prompts and responses apart.

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
    """Write a pair into `row` (length,); return whether it was cut."""
    given = prompt if len(prompt) else np.array([end], dtype=np.int32)
    learnt = np.append(response, np.int32(end))
    half = len(row) // 2
    start = min(len(given), max(half, len(row) - len(learnt)))
    row[:start] = ~given[-start:]
    written = row[start : start + len(learnt)]
    written[:] = learnt[: len(written)]
    return start < len(given) or len(written) < len(learnt)
