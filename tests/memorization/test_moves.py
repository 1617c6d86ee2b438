"""A move places a unit at its step and keeps the sequence of the others."""

import numpy as np
import pytest

from trainorder.memorization.moves import (
    all_positions,
    inserted,
    moves,
    replaced,
    stratified,
    substitutes,
    swapped,
)

PLAIN = np.array([[3], [1], [0], [2], [4]])
WIDE = np.array([[3, 1], [0, 2], [5, 4]])
DOMAINS = ["sea", "land", "sea", "sea", "sky"]


@pytest.mark.parametrize("schedule", [PLAIN, WIDE])
@pytest.mark.parametrize("move", [swapped, inserted])
def test_a_moved_unit_is_at_its_step_and_each_unit_occurs_once(schedule, move):
    for unit in range(schedule.size):
        for step in range(len(schedule)):
            actual = move(schedule, unit, step)
            assert unit in actual[step], f"unit {unit} is not at step {step}"
            assert sorted(actual.reshape(-1)) == list(range(schedule.size))


@pytest.mark.parametrize("move", [swapped, inserted])
def test_at_its_own_step_a_unit_moves_nothing(move):
    for schedule in (PLAIN, WIDE):
        for step, units in enumerate(schedule):
            for unit in units:
                assert np.array_equal(move(schedule, unit, step), schedule)


def test_an_insertion_keeps_the_order_of_the_others():
    actual = inserted(PLAIN, 2, 0).reshape(-1).tolist()
    assert actual == [2, 3, 1, 0, 4]


def test_a_swap_moves_only_two_units():
    assert swapped(PLAIN, 2, 0).reshape(-1).tolist() == [2, 1, 0, 3, 4]


def test_absence_is_insertion_with_another_unit_in_the_place():
    actual, same = replaced(PLAIN, 2, 0, 0), inserted(PLAIN, 2, 0)
    assert 2 not in actual
    assert np.array_equal(actual != same, same == 2)
    assert np.count_nonzero(actual == 0) == 2


def test_a_substitute_is_the_next_unit_of_the_domain_and_never_the_unit_itself():
    # 3, 1, 0, 2, 4: sea is 3, 0, 2; land and sky have one unit each
    assert substitutes(PLAIN, DOMAINS).tolist() == [2, 0, 3, 0, 3]


def test_all_positions_are_those_of_each_unit_and_step():
    move = moves(PLAIN, DOMAINS)["insertion"]
    actual = all_positions(PLAIN, move)
    assert actual.shape == (5, 5, 5, 1)
    assert np.array_equal(actual[2, 0], inserted(PLAIN, 2, 0))


@pytest.mark.parametrize("count", [1, 7, 30, 64])
def test_drawn_cells_spread_over_units_and_steps(count):
    cells = stratified(8, 8, count, 0)
    assert len({tuple(cell) for cell in cells.tolist()}) == count, "a cell is drawn twice"
    assert cells.min() >= 0
    assert cells.max() <= 7
    if count == 30:
        for column in cells.T:
            counts = np.bincount(column, minlength=8)
            assert counts.max() - counts.min() <= 3, f"uneven: {counts}"


def test_a_request_for_too_many_cells_gives_all():
    assert len(stratified(3, 4, 100, 1)) == 12
    assert np.array_equal(stratified(6, 6, 9, 3), stratified(6, 6, 9, 3))
