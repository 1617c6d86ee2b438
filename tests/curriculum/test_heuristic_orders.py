"""The heuristic orders are permutations in the sequence that their names state."""

import numpy as np

from trainorder.curriculum.heuristic_orders import (
    document_lengths,
    folded,
    heuristic_count,
    heuristic_orders,
    zigzag,
)

DIFFICULTY = np.array([3.0, 1.0, 4.0, 1.5, 5.0, 9.0, 2.0, 6.0])


def test_each_fold_goes_from_easy_to_hard():
    actual = DIFFICULTY[folded(DIFFICULTY, 2)]
    assert (np.diff(actual[:4]) > 0).all()
    assert (np.diff(actual[4:]) > 0).all()
    assert actual[4] < actual[3], "the second fold does not start at the easiest unit again"


def test_zigzag_has_the_same_folds_without_jumps():
    actual = DIFFICULTY[zigzag(DIFFICULTY, 2)]
    assert (np.diff(actual[:4]) > 0).all()
    assert (np.diff(actual[4:]) < 0).all()
    assert set(actual[:4]) == set(DIFFICULTY[folded(DIFFICULTY, 2)][:4])


def test_without_document_lengths_there_are_no_orders_by_length():
    known = heuristic_orders(DIFFICULTY, DIFFICULTY / 2, DIFFICULTY)
    unknown = heuristic_orders(DIFFICULTY, DIFFICULTY / 2, None)
    assert known.keys() - unknown.keys() == {"short-to-long", "long-to-short"}
    assert (len(known), len(unknown)) == (heuristic_count(True), heuristic_count(False))
    for name, visits in unknown.items():
        assert np.array_equal(visits, known[name])


def test_every_heuristic_order_is_a_permutation_that_its_name_describes():
    later = DIFFICULTY - np.arange(8) / 10  # unit 7 learns most
    actual = heuristic_orders(DIFFICULTY, later, lengths=DIFFICULTY[::-1])
    for name, visits in actual.items():
        assert sorted(visits) == list(range(8)), f"{name} is not a permutation"
    assert actual["short-to-long"][0] == np.argmin(DIFFICULTY[::-1])
    assert actual["long-to-short"][0] == np.argmax(DIFFICULTY[::-1])
    assert actual["most-learnable-first"][0] == 7
    assert actual["most-learnable-last"][0] == 0


def test_documents_end_at_the_end_of_text_and_pairs_at_their_padding():
    end = 9
    text = np.array([[[1, 2, 9, 3], [4, 5, 6, 7]], [[1, 9, 2, 9], [3, 9, 4, 5]]])
    assert document_lengths(text, end).tolist() == [8 / 2, 8 / 4]
    pairs = np.array([[[~1, ~2, 9, ~9], [~4, 5, 6, 7]], [[~1, 9, ~9, ~9], [~3, 4, 9, ~9]]])
    assert document_lengths(pairs, end).tolist() == [(3 + 4) / 2, (2 + 3) / 2]
