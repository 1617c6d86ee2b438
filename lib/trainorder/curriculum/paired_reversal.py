"""Paired reversal: the second half of the window mirrors the first half with similar units."""

import numpy as np


def paired_reversal(scores: np.ndarray, labels: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return units (U,) such that similar units have mirrored places.

    Reversing every second epoch cancels effects that are linear in the place (FlipFlop; Rajput, Lee
    and Papailiopoulos 2022, arXiv 2102.09718). A single epoch visits no unit twice, so the unit of
    the same label with the next score stands for it. Labels with an odd number of units leave one
    unit each; these are paired with each other. If one unit is left, its place is in the middle.

    Args:
        scores: (U,), units of similar score are similar.
        labels: (U,) int, for example domains.
        reference: (U,) units, the sequence of the pairs, and of the two units of a pair.

    """
    place = np.argsort(reference)
    pairs, middle = _pairs(np.lexsort((scores, labels)), labels)
    in_sequence = [sorted(pair, key=place.__getitem__) for pair in pairs]
    in_sequence.sort(key=lambda pair: int(place[pair[0]]))
    first, second = [pair[0] for pair in in_sequence], [pair[1] for pair in in_sequence]
    return np.array([*first, *middle, *second[::-1]], dtype=np.int64)


def _pairs(ranked: np.ndarray, labels: np.ndarray) -> tuple[list[list[int]], list[int]]:
    """Return pairs of neighbours in `ranked` (U,), and the unit that is left, if there is one."""
    pairs: list[list[int]] = []
    unpaired: list[int] = []
    for label in np.unique(labels):
        members = [int(unit) for unit in ranked if labels[unit] == label]
        if len(members) % 2:
            unpaired.append(members.pop())
        pairs += [members[i : i + 2] for i in range(0, len(members), 2)]
    middle = [unpaired.pop()] if len(unpaired) % 2 else []
    pairs += [unpaired[i : i + 2] for i in range(0, len(unpaired), 2)]
    return pairs, middle
