"""A grid's file of records is the store of what is measured."""

import pytest

from bench import grid, measured_grid
from bench.grid import Cell
from bench.measured_grid import MeasuredGrid, parser, run_command
from bench.studies import Study
from trainorder.errors import UserError
from trainorder.storage.formats import read_json, write_json


@pytest.fixture
def measured(top, monkeypatch):
    """Replace the measurement of a study; return the names of the studies that were measured."""
    names = []

    def measure(study, cores):
        names.append(study.name)
        return {"number": len(names), "config": study.config()}

    monkeypatch.setattr(grid, "_measure", measure)
    return names


def cell(name, **optimizer):
    layer = {"optimizer": optimizer, "estimators": [{"method": "constant", "path": "reference"}]}
    return Cell(Study(f"some-{name}", layer=layer), f"the {name}", {"axis": name})


def made(*cells):
    pages = []
    one = MeasuredGrid("some", cells or (cell("one", beta2=0.9), cell("two")), pages.append)
    return one, pages


def test_a_row_is_on_the_page_as_soon_as_it_is_measured(measured):
    some, pages = made()
    some.measure([], None)
    assert measured == ["some-one", "some-two"]
    assert [page["missing"] for page in pages] == [["the two"], []]
    assert [row["label"] for row in pages[-1]["cells"]] == ["the one", "the two"]
    assert read_json(some.file) == pages[-1]


def test_a_committed_record_counts_as_measured_in_a_fresh_clone(measured, top):
    made()[0].measure([], None)
    assert not (top / "results/some-one").exists()
    some, _ = made()
    some.measure([], None)
    assert measured == ["some-one", "some-two"]
    some.measure(["two"], None)
    assert len(measured) == 2, "a measured row is measured again without --again"
    some.measure(["two"], None, again=True)
    assert measured[2:] == ["some-two"]


def test_a_single_row_keeps_the_others_on_the_page(measured):
    some, pages = made()
    some.measure(["two"], None)
    some.measure(["one"], None)
    assert [row["label"] for row in pages[-1]["cells"]] == ["the one", "the two"]


def test_a_record_of_another_configuration_is_dropped_and_listed_as_not_measured(measured, top):
    made()[0].measure([], None)
    some, pages = made(cell("one", beta2=0.9), cell("two", beta2=0.8))
    assert list(some.rows()) == ["one"]
    some.write(some.rows())
    assert pages[-1]["missing"] == ["the two"]
    assert len(read_json(some.file)["cells"]) == 1


def test_a_record_is_shown_with_the_present_label_and_target(measured):
    made()[0].measure([], None)
    plain = cell("one", beta2=0.9)
    renamed = Cell(plain.study, "renamed", {"axis": 3}, target={"order_lds": 0.9})
    row = made(renamed, cell("two"))[0].rows()["one"]
    assert (row["label"], row["values"], row["target"]) == (
        *("renamed", {"axis": 3}),
        {"order_lds": 0.9},
    )
    assert row["number"] == 1


def test_a_failure_keeps_the_rows_before_it(measured, monkeypatch):
    def fail(study, cores):
        if study.name == "some-two":
            raise UserError("study some-two: boom")
        return {"config": study.config()}

    monkeypatch.setattr(grid, "_measure", fail)
    some, pages = made()
    with pytest.raises(SystemExit, match="error: study some-two: boom"):
        run_command(lambda: some, parser("").parse_args([]))
    assert list(some.rows()) == ["one"]
    assert pages[-1]["missing"] == ["the two"]


def test_rows_of_another_file_are_added_if_they_have_the_configuration(measured, top, monkeypatch):
    monkeypatch.setattr(measured_grid, "MEASURED", top / "other")
    made()[0].measure([], None)
    monkeypatch.setattr(measured_grid, "MEASURED", top / "here")
    some, _ = made(cell("one", beta2=0.9), cell("two", beta2=0.8))
    file = top / "other/some.json"
    run_command(lambda: some, parser("").parse_args(["--add", str(file)]))
    assert list(some.rows()) == ["one"]
    write_json(file, {"cells": []})
    with pytest.raises(UserError, match="no record has the present configuration"):
        some.joined(file)


def test_only_the_page_is_written_again(measured):
    some, pages = made()
    with pytest.raises(SystemExit, match=r"error: .*no row is measured"):
        run_command(lambda: some, parser("").parse_args(["--page"]))
    some.measure(["two"], None)
    run_command(lambda: some, parser("").parse_args(["--page"]))
    assert measured == ["some-two"]
    assert pages[0] == pages[1]


def test_rows_are_listed_with_their_state(measured, capsys):
    some, _ = made()
    some.measure(["two"], None)
    capsys.readouterr()
    run_command(lambda: some, parser("").parse_args(["--list"]))
    assert capsys.readouterr().out.splitlines() == [
        "one  missing   the one",
        "two  measured  the two",
    ]


def test_an_unknown_row_raises_one_line_with_the_known_ones(measured):
    some, _ = made()
    with pytest.raises(UserError, match="unknown row `three`; the rows are one, two"):
        some.measure(["one", "three"], None)
    assert measured == []
