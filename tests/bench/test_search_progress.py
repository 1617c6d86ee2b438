"""The progress of searches by steps is in spreads of random orders, with all that they cost."""

import pytest

from bench.drawing import save_png
from bench.search_progress import by_steps, draw, progress, rounds_table


def curriculum(**steps):
    """Return a search that starts 2 spreads below the mean, at a cost of 7 retrainings."""
    rounds = [
        {"incumbent": 2.0, "estimates": [1.5, 1.8], "true": [1.6, 2.1], "best": 1.6,
         "retrainings": 3.0},
        {"incumbent": 1.6, "estimates": [1.5], "true": [1.75], "best": 1.6, "retrainings": 5.0},
    ]  # fmt: skip
    return {
        "step_search": {"retrainings": 5.0, "starts": [2.4, 2.0], "rounds": rounds} | steps,
        "random": {"mean": 3.0, "std": 0.5, "true": {"a": 2.5, "b": 3.0, "c": 3.5}},
        "compute": {"total_retrainings": 12.0},
    }


def test_the_best_order_is_told_with_the_cost_of_the_starts():
    found = progress(curriculum())
    assert found.spent == [7.0, 10.0, 12.0], "the orders before the search cost nothing"
    assert found.best == pytest.approx([2.0, 2.8, 2.8])


def test_gains_of_moves_are_over_their_own_incumbent():
    found = progress(curriculum())
    assert found.estimated == pytest.approx([1.0, 0.4, 0.2])
    assert found.true == pytest.approx([0.8, -0.2, -0.3])


def test_chance_is_the_expected_best_of_random_orders():
    assert progress(curriculum()).chance == pytest.approx([0.0, 2 / 3, 1.0])


def test_global_searches_are_left_out():
    other = {name: value for name, value in curriculum().items() if name != "step_search"}
    assert list(by_steps({"cosine": [other], "constant": [curriculum(), other]})) == ["constant"]
    assert len(by_steps({"constant": [curriculum(), other]})["constant"]) == 1


def test_the_table_counts_the_moves_that_were_better_than_their_incumbent():
    text = rounds_table(by_steps({"constant": [curriculum(), curriculum()]}))
    assert "| constant | 2, 2 | 2.8, 2.8 | 6 | 33% | 1 |" in text


def test_a_search_that_retrained_nothing_has_a_row_and_a_figure(tmp_path):
    groups = by_steps({"constant": [curriculum(rounds=[])]})
    assert "| constant | 2 | 2 | 0 | – | – |" in rounds_table(groups)
    save_png(lambda: draw(groups, "note"), tmp_path / "empty.png")


def test_the_figure_has_a_row_for_each_group():
    figure = draw(by_steps({"constant": [curriculum()], "cosine": [curriculum()]}), "note")
    assert len(figure.axes) == 4
    [points] = figure.axes[1].collections
    expected = [1.0, 0.8, 0.4, -0.2, 0.2, -0.3]
    assert points.get_offsets().ravel().tolist() == pytest.approx(expected)
