"""Similar units have mirrored places."""

import numpy as np
import pytest

from trainorder.curriculum.paired_reversal import paired_reversal


def case(seed, counts):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return rng.standard_normal(len(labels)), labels, rng.permutation(len(labels))


@pytest.mark.parametrize("counts", [(8, 6), (7, 5), (7, 6), (1, 1, 1), (1,), (3, 3, 3, 3)])
def test_it_is_a_permutation(counts):
    actual = paired_reversal(*case(0, counts))
    assert sorted(actual) == list(range(sum(counts)))


@pytest.mark.parametrize("seed", range(5))
def test_units_of_mirrored_places_have_one_label_and_neighbouring_scores(seed):
    scores, labels, reference = case(seed, (8, 6, 10))
    actual = paired_reversal(scores, labels, reference)
    for a, b in zip(actual, actual[::-1], strict=True):
        assert labels[a] == labels[b]
        low, high = sorted([scores[a], scores[b]])
        between = (labels == labels[a]) & (scores > low) & (scores < high)
        assert not between.any(), "a unit with a score in between was not chosen"


def test_effects_that_are_linear_in_the_place_of_a_label_cancel():
    scores, labels, reference = case(1, (8, 6, 10))
    place = np.argsort(paired_reversal(scores, labels, reference))
    assert [place[labels == label].mean() for label in range(3)] == [23 / 2] * 3


def test_the_first_half_keeps_the_sequence_of_the_reference():
    scores, labels, reference = case(2, (8, 6, 10))
    place = np.argsort(reference)[paired_reversal(scores, labels, reference)]
    assert (np.diff(place[:12]) > 0).all()
    assert (place[:12] < place[::-1][:12]).all(), "the second of a pair is earlier"


def test_units_that_odd_labels_leave_are_paired_or_in_the_middle():
    scores, labels, reference = case(3, (3, 3, 1))
    actual = labels[paired_reversal(scores, labels, reference)]
    assert actual[3] == 2
    assert np.count_nonzero(actual[:3] != actual[:3:-1]) == 1


def test_equal_scores_are_paired_by_index():
    actual = paired_reversal(np.zeros(6), np.zeros(6, int), np.arange(6))
    assert actual.tolist() == [0, 2, 4, 5, 3, 1]
