"""The figures of the studies of transfer show every study and level."""

import pytest

from bench.drawing import save_svg
from bench.transfer_figures import draw_growth, draw_ladder
from transfer_records import cell, entry

pytestmark = pytest.mark.slow


def record():
    cells = [
        cell("one", 0.6, small=entry(0.8, 0.6, 1 / 32), large=entry(0.9, 0.4, 1 / 4)),
        cell("two", 1.6, small=entry(None, 1.0, 1 / 32), large=entry(0.7, 0.8, 1 / 4)),
        cell("three", 19.0, group="start", small=entry(-0.3, 1.3, 1 / 32, precompute=8.0)),
        cell("five", 3.0, small=entry(None, per_order=1 / 32, relative_error=None)),
    ]
    unknown = {**cells[0], "growth": {"value": None, "low": None, "high": None, "n": 3}}
    diverged = {key: cells[0][key] for key in ("values", "made")} | {"label": "four"}
    return {"cells": [*cells, unknown, diverged], "missing": []}


def test_each_level_has_a_point_for_each_study_with_growth():
    ranks, errors = draw_growth(record()).axes
    # Each level is a marker line; the undefined correlation of one study is not drawn.
    assert [len(line.get_xdata()) for line in _markers(ranks)] == [2, 2]
    assert [len(line.get_xdata()) for line in _markers(errors)] == [3, 2]
    assert list(_markers(errors)[0].get_xdata()) == [0.6, 1.6, 19.0]
    assert ranks.get_xscale() == "log"


def test_a_negative_correlation_and_a_large_error_are_within_the_axes():
    ranks, errors = draw_growth(record()).axes
    assert ranks.get_ylim()[0] < -0.3
    assert errors.get_ylim()[1] > 1.3


def test_the_ladder_has_a_line_for_each_study_in_the_panel_of_its_group():
    figure = draw_ladder(record())
    titles = [axes.get_title() for axes in figure.axes[:2]]
    assert titles == ["seeds", "start"]
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert len(lines) == 3, "two studies and the one of unknown growth"
    assert list(lines[0].get_xdata()) == [1 / 32, 1 / 4]


def test_the_area_of_a_marker_grows_with_the_precompute():
    figure = draw_ladder(record())
    small, large = (figure.axes[column].collections[0].get_sizes()[0] for column in (0, 1))
    assert large > small


@pytest.mark.parametrize("draw", [draw_growth, draw_ladder])
def test_the_same_record_gives_the_same_bytes(draw, tmp_path):
    paths = [tmp_path / folder / "figure.svg" for folder in ("first", "second")]
    for path in paths:
        path.parent.mkdir()
        save_svg(lambda: draw(record()), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def _markers(axes):
    return [line for line in axes.lines if line.get_marker() not in ("None", "", "_", "|", None)]
