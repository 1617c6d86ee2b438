"""A multiple-choice task from held-out text: the true continuation of a prefix among others.

The form is that of the benchmarks of language models: the choice with the lowest loss per token is
the answer (Brown et al. 2020, arXiv 2005.14165, section 2.4). The accuracy changes in steps, by one
question at a time. The probability of the right choice changes smoothly, as in Magnusson et al.
2025 (arXiv 2504.11393). See `docs/method`, "Multiple choice".
"""

import numpy as np

from trainorder.data.continuation import continuation
from trainorder.errors import UserError

_PADDING = ~0  # a context token after the end of a shorter continuation


def questions(heldout: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return the questions of every domain: the choices as sequences with the prefix as context.

    Each held-out sequence gives one question. Its prefix is the first half of its tokens, or its
    prompt if it is a pair. The right choice is its own continuation. The others are continuations
    of `count` - 1 other held-out sequences of the domain, drawn at random. A longer continuation is
    cut at the end of the sequence, and a shorter one is padded.

    Args:
        heldout: (D, n, L) int32 held-out sequences, context tokens as in `Corpus`.
        count: C, choices of each question.
        seed: of the random draw.

    Returns:
        (D, C, n, L) int32; choice 0 is the right one.

    Raises:
        UserError: a domain has fewer than `count` sequences.

    """
    sequences = heldout.shape[1]
    if sequences < count:
        raise UserError(
            f"multiple_choice: {count} choices need {count} held-out sequences of each domain, but "
            f"the corpus has {sequences}; lower multiple_choice, or add held-out sequences"
        )
    rng = np.random.default_rng(seed)
    return np.stack([_of_domain(domain, count, rng) for domain in heldout])


def _of_domain(sequences: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the questions (C, n, L) of the held-out sequences (n, L) of one domain."""
    number = len(sequences)
    spans = [continuation(sequence) for sequence in sequences]
    result = np.full((count, *sequences.shape), _PADDING, dtype=sequences.dtype)
    for row, (sequence, (start, _)) in enumerate(zip(sequences, spans, strict=True)):
        others = rng.choice(number - 1, count - 1, replace=False)
        for place, chosen in enumerate([row, *(others + (others >= row))]):
            first, last = spans[chosen]
            tokens = sequences[chosen, first : min(last, first + len(sequence) - start)]
            result[place, row, :start] = np.minimum(sequence[:start], ~sequence[:start])
            result[place, row, start : start + len(tokens)] = tokens
    return result


def choice_values(losses: np.ndarray) -> np.ndarray:
    """Return the metrics of the task (2 (D + 1),), in the sequence of `metric_names`.

    The accuracy is the share of questions whose right choice has a lower loss than every other one;
    a tie counts as wrong. The probability is exp(-loss) of the right choice over its sum over the
    choices, the mean over questions. Without knowledge both are about 1 / C.

    Args:
        losses: (D, C, n) of each choice in nats per token, the right choice first.

    Returns:
        The mean over domains and the value of each domain; NaN where a loss is not finite.

    """
    right, others = losses[:, 0], losses[:, 1:]
    usable = np.isfinite(losses).all(axis=(1, 2))
    accuracy = (right < others.min(axis=1)).mean(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        probability = (1 / (1 + np.exp(right[:, None] - others).sum(axis=1))).mean(axis=1)
    values = np.where(usable, np.stack([accuracy, probability]), np.nan)  # (2, D)
    return np.concatenate([values.mean(axis=1, keepdims=True), values], axis=1).reshape(-1)
