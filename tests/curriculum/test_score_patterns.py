"""Segment, stair and sawtooth orders have the pattern that their names state."""

import numpy as np
import pytest

from trainorder.curriculum.score_patterns import sawtooth, segmented, stair

SIZES = range(1, 40)


def shuffled(units):
    rng = np.random.default_rng(units)
    return rng.permutation(units).astype(float), rng.permutation(units)


@pytest.mark.parametrize("units", SIZES)
def test_every_pattern_is_a_permutation(units):
    scores, reference = shuffled(units)
    for visits in (segmented(scores, reference), stair(scores), sawtooth(scores)):
        assert sorted(visits) == list(range(units))


def test_segments_have_low_middle_and_high_scores_in_the_sequence_of_the_reference():
    scores, reference = shuffled(100)
    visits = segmented(scores, reference)
    parts = [visits[:30], visits[30:70], visits[70:]]
    assert [sorted(scores[part]) for part in parts] == [
        list(range(30)),
        list(range(30, 70)),
        list(range(70, 100)),
    ]
    for part in parts:
        assert [unit for unit in reference if unit in part] == part.tolist()


def test_a_stair_is_sorted_except_for_folds_around_its_borders():
    scores, _ = shuffled(90)  # sections of 30, and 9 units on each side of a border
    actual = scores[stair(scores)].astype(int).tolist()
    first = [score for fold in range(3) for score in range(21 + fold, 39, 3)]
    second = [score for fold in range(3) for score in range(51 + fold, 69, 3)]
    assert actual == [*range(21), *first, *range(39, 51), *second, *range(69, 90)]


def test_a_sawtooth_reverses_every_second_fold_so_it_has_shorter_jumps():
    scores, _ = shuffled(90)
    saw, steps = scores[sawtooth(scores)], scores[stair(scores)]
    assert saw[21:27].tolist() == [21, 24, 27, 30, 33, 36]
    assert saw[27:33].tolist() == [37, 34, 31, 28, 25, 22]
    assert saw[33:39].tolist() == [23, 26, 29, 32, 35, 38]
    assert np.abs(np.diff(saw)).max() < np.abs(np.diff(steps)).max()


def test_equal_scores_keep_the_sequence_of_indices_within_a_section():
    assert stair(np.zeros(9)).tolist() == stair(np.arange(9.0)).tolist()
    assert segmented(np.zeros(10), np.arange(10)).tolist() == list(range(10))
