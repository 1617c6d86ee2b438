"""Every study that the drivers run has a valid configuration, and can be planned from nothing."""

import pytest

from bench import published, regime, rows, sweep
from bench.studies import Study
from trainorder.config.loading import load_config
from trainorder.config.study_config import parse
from workflow_tree import work_tree

pytestmark = pytest.mark.slow

PLANNED = [Study(name, name) for name in ("steps64", "sample_order", "wider", "steps256")]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return work_tree(tmp_path_factory.mktemp("planned"))


def planned(tree, study, monkeypatch, *targets):
    monkeypatch.chdir(tree.root)
    layers = [str(path) for path in study.write()]
    return tree.plan(*targets, "--configfile", *layers).jobs


@pytest.mark.parametrize("study", PLANNED, ids=lambda study: study.name)
def test_the_presets_can_be_planned(tree, study, monkeypatch):
    jobs = planned(tree, study, monkeypatch)
    assert {"barycentre", "curvature", "reduced", "truth", "validate", "figures"} <= set(jobs)


def test_the_sweep_trains_the_reference_run_alone(tree, monkeypatch):
    study = sweep.study_of("wider", 1e-3)
    jobs = planned(tree, study, monkeypatch, f"{study.results}/{sweep.PATH}")
    assert set(jobs) - {"fetch"} == {"corpus", "warm", "orders", "reference"}


GRIDS = [regime.regime_cells, regime.ablation_cells, rows.cells, published.cells]


@pytest.mark.parametrize("cell", GRIDS)
def test_a_cell_of_a_grid_can_be_planned(tree, cell, monkeypatch):
    monkeypatch.chdir(tree.root)
    study = cell()[-1].study
    jobs = planned(tree, study, monkeypatch, f"{study.results}/validation.json")
    assert {"truth", "estimate", "validate"} <= set(jobs)
    assert "figures" not in jobs


def test_the_configuration_of_every_study_is_valid(top):
    cells = [cell for grid in GRIDS for cell in grid()]
    swept = [sweep.study_of(preset, 1e-3) for preset in sweep.PRESETS.values()]
    for study in [*PLANNED, *swept, *(cell.study for cell in cells)]:
        parse(study.config())


def test_no_two_studies_share_a_folder(top):
    cells = [cell for grid in GRIDS for cell in grid()]
    names = [cell.study.name for cell in cells]
    assert len(set(names)) == len(names)


def test_the_longer_window_is_twice_the_default_one(top):
    default, longer = load_config("config.yaml"), Study("steps64", "steps64").config()
    assert longer["window"] == default["window"] | {"units": 2 * default["window"]["units"]}


def test_the_wider_model_reads_the_same_text(top):
    default, wider = load_config("config.yaml"), Study("wider", "wider").config()
    for section in ("corpus", "window", "seeds"):
        assert wider[section] == default[section]
