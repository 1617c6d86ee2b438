"""The grids: their cells, the cache of finished cells, their page and figure."""

from dataclasses import replace

import pytest

from bench import grid, regime
from bench.grid_page import draw, markdown
from bench.page import interval
from trainorder.errors import DivergedError, UserError
from trainorder.evaluation.results import Results
from trainorder.storage.formats import read_json

pytestmark = pytest.mark.slow


def layers(cells):
    return {cell.label: cell.study.config() for cell in cells}


def test_the_plain_cell_is_the_default_study_with_smaller_units(top):
    cells = regime.regime_cells()
    plain, default = cells[0].study.config(), regime.load_config("config.yaml")
    assert cells[0].label == "plain"
    for section in ("model", "optimizer", "corpus", "seeds"):
        assert plain[section] == default[section]
    assert plain["expansion"] == default["expansion"] | {"pool": 16}
    assert plain["curvature"] == default["curvature"] | {
        "pool": 16,
        "anchors": 1,
        "unit_sequences": 4,
    }
    assert plain["window"] == default["window"] | {"units": 32, "unit_size": 16}


def test_a_cell_differs_from_the_plain_one_in_one_or_two_axes(top):
    cells = regime.regime_cells()
    plain = dict(cells[0].values)
    for cell in cells[1:7]:
        assert sum(cell.values[axis] != plain[axis] for axis in plain) == 1, cell.label
    for cell in cells[7:]:
        assert sum(cell.values[axis] != plain[axis] for axis in plain) == 2, cell.label


def test_every_cell_of_the_regime_has_the_same_sequences_per_step(top):
    for cell in regime.regime_cells():
        window = cell.study.config()["window"]
        assert window["unit_size"] * window["units_per_step"] == regime.UNIT_SIZE
        assert window["units"] == cell.values["T"] * cell.values["units per step"]


def test_a_quarter_of_the_rate_is_a_quarter_of_the_configured_one(top):
    config_of = layers(regime.regime_cells())
    rates = [
        config_of[label]["optimizer"]["learning_rate"]
        for label in ("a quarter of the rate", "plain")
    ]
    assert rates[0] == rates[1] / 4


def test_the_ablation_crosses_windows_and_anchors_about_both_paths(top):
    cells = regime.ablation_cells()
    assert {(c.values["T"], c.values["K"]) for c in cells} == {
        (steps, anchors) for steps in (16, 32, 64) for anchors in (3, 5, "all")
    }
    for cell in cells:
        config = cell.study.config()
        assert config["expansion"]["anchors"] == cell.values["K"]
        assert [e["path"] for e in config["estimators"]] == ["reference", "barycentre"]


@pytest.fixture
def ran(synthetic_study, top, monkeypatch):
    """Replace Snakemake by a synthetic study; return the names of the studies that ran."""
    names = []

    def run(study, cores, targets):
        names.append((study.name, cores))

    results = Results.read(synthetic_study.results)

    def read(study):
        provenance = {**results.validation["provenance"], "config": study.config()}
        return replace(results, validation={**results.validation, "provenance": provenance})

    monkeypatch.setattr(grid, "run", run)
    monkeypatch.setattr(grid.Study, "read", read)
    return names


def test_a_page_names_the_cells_that_are_not_measured(ran, top):
    regime.main(["--only", "steps16"])
    page = (top / "docs/measured/regime.md").read_text()
    assert "| T = 16 |" in page
    assert "Not measured yet: plain; a quarter of the rate; constant rate;" in page


def test_the_regime_shows_growth_of_each_cell_in_table_and_figure(ran, top):
    regime.main(["--only", "plain", "constant"])
    page = (top / "docs/measured/regime.md").read_text()
    growth = interval(read_json(top / "docs/measured/regime.json")["cells"][0]["growth"])
    assert f"| plain | {growth} |" in page
    assert "(../figures/growth.svg)" in page
    assert (top / "docs/figures/growth.svg").stat().st_size > 5000


def test_the_ablation_has_no_figure_of_growth(ran, top):
    regime.main(["--ablation", "--only", "steps16-anchors-3"])
    assert "growth.svg" not in (top / "docs/measured/ablation.md").read_text()
    assert not (top / "docs/figures/growth.svg").exists()


@pytest.mark.parametrize("name", ["regime", "ablation"])
def test_a_grid_writes_its_numbers_its_page_and_its_figure(ran, top, name):
    few = [cell.name for cell in regime.GRIDS[name]()[:3]]
    regime.main([*(["--ablation"] if name == "ablation" else []), "--only", *few])
    record = read_json(top / f"docs/measured/{name}.json")
    assert len(record["cells"]) == len(ran) == 3
    for cell in record["cells"]:
        assert cell["spread"] > 0
        assert cell["config"]
        assert cell["made"]["versions"]["torch"]
        assert cell["estimators"]["nystrom@barycentre"]["order_lds"]["n"] == 48
    page = (top / f"docs/measured/{name}.md").read_text()
    assert page.count("`nystrom@barycentre`") == 2 * 3, "a row of a table is missing"
    assert (top / f"docs/figures/{name}.png").stat().st_size > 5000


def test_cells_stay_measured_until_their_configuration_changes(ran, top):
    two = ["--only", "plain", "constant"]
    regime.main(two)
    regime.main(two)
    assert len(ran) == 2
    text = (top / "config.yaml").read_text().replace("beta2: 0.95", "beta2: 0.9")
    (top / "config.yaml").write_text(text)
    regime.main(two)
    assert len(ran) == 4


def test_the_cell_with_the_largest_tables_runs_one_job_at_once(ran, top):
    two = ["steps64-anchors-all", "steps64-anchors-5"]
    regime.main(["--ablation", "--cores", "4", "--only", *two])
    cores = dict(ran)
    assert cores["ablation-steps64-anchors-all"] == 1
    assert cores["ablation-steps64-anchors-5"] == 4


def test_a_diverged_cell_is_shown_and_another_failure_ends_the_grid(ran, top, monkeypatch):
    def fail(study, cores, targets):
        if study.name == "regime-constant":
            raise error

    monkeypatch.setattr(grid, "run", fail)
    error = DivergedError("warm-up: step 3: the training loss is nan")
    cells = regime.regime_cells()[:3]
    record = {"grid": "regime", "cells": [cell.measure(1) for cell in cells]}
    assert "training diverged" in markdown(record)
    draw(record)
    error = UserError("corpus: no such file; lower optimizer.learning_rate")
    with pytest.raises(SystemExit, match="no such file"):
        regime.main([])
