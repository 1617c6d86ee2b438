"""Segment, stair and sawtooth orders: patterns of a score along training.

They are those of Dai et al. 2026 (arXiv 2605.30334), who extend the folding of Dai et al. 2025
(arXiv 2506.21545, `heuristic_orders.folded`). The settings are defaults of their code.
"""

from collections.abc import Callable

import numpy as np

from trainorder.curriculum.heuristic_orders import folded, zigzag

BOUNDARY = 0.3  # share of the units in the first and in the last segment
SECTIONS, FOLDS, RADIUS = 3, 3, 0.1  # RADIUS is a share of the units; regions never overlap


def segmented(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return units (U,) in three segments: low, middle and high scores (SEG).

    Inside a segment, units have the sequence of `reference` (U,), which is random.
    """
    ranked, edge = np.argsort(scores, kind="stable"), int(len(scores) * BOUNDARY)
    segment = np.ones(len(scores), dtype=np.int64)
    segment[ranked[:edge]], segment[ranked[len(ranked) - edge :]] = 0, 2
    return reference[np.argsort(segment[reference], kind="stable")]


def stair(scores: np.ndarray) -> np.ndarray:
    """Return units (U,) from low to high scores, folded around the borders of sections (STR)."""
    return _with_transitions(scores, folded)


def sawtooth(scores: np.ndarray) -> np.ndarray:
    """Return units (U,) as `stair`, but with every second fold from high to low scores (SAW)."""
    return _with_transitions(scores, zigzag)


def _with_transitions(
    scores: np.ndarray, pattern: Callable[[np.ndarray, int], np.ndarray]
) -> np.ndarray:
    """Return units (U,) from low to high scores, with `pattern` near each border."""
    ranked, units = np.argsort(scores, kind="stable"), len(scores)
    radius, end, parts = round(units * RADIUS), 0, []
    for section in range(1, SECTIONS):
        border = round(units * section / SECTIONS)
        begin, after = border - radius, border + radius
        region = ranked[begin:after]
        parts += [ranked[end:begin], region[pattern(np.arange(len(region)), FOLDS)]]
        end = after
    return np.concatenate([*parts, ranked[end:]])
