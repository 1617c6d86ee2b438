"""The page of the applications shows the records of its trainings."""

import json
from copy import deepcopy

import pytest

import synthetic
from bench import applications
from bench.applications_page import (
    BASELINES,
    QUANTITIES,
    STUDY_FIGURES,
    in_short,
    markdown,
)
from bench.config_hash import config_hash
from bench.drawing import save_png
from trainorder.config.loading import load_config
from trainorder.evaluation.results import Results
from trainorder.figures.replicates import draw_groups
from trainorder.memorization.maps import MAPS


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The record of a training, from result files."""
    study = synthetic.make(tmp_path_factory.mktemp("made"), random=12, calibration=10)
    study.validate()
    return applications.study_record(Results.read(study.results))


def training(made, schedule, gain, **curriculum):
    """Return the record of a training with another schedule, gain and content of its search."""
    record = deepcopy(made) | {"label": f"{schedule}, gain {gain}"}
    record["config"]["optimizer"] = {"schedule": schedule, "learning_rate": 0.002}
    for value in record["curriculum"]["gains"].values():
        value |= {"value": gain, "in_spreads": 10 * gain}
    record["curriculum"] |= curriculum
    return record


@pytest.fixture
def record(made):
    """The records of three trainings, one of them searched by steps and retrained afresh."""
    gain = {key: {"value": 0.3, "in_spreads": 3.0} for key in ["random_mean", "same_compute"]}
    fresh = [{"init": init, "gains": gain} for init in (0, 1, 2)]
    return {
        "cells": [
            training(made, "cosine", 0.1),
            training(made, "cosine", 0.3),
            training(made, "constant", 0.2, method="steps", fresh=fresh),
        ],
        "missing": ["constant, seed 1"],
    }


def test_the_page_has_every_gain_with_its_interval_and_studies(record):
    page = markdown(record)
    for text in BASELINES.values():
        assert f"against {text}" in page
    row = next(line for line in page.splitlines() if line.startswith("| cosine | 2 |"))
    assert row.count("0.2 [-1.07, 1.47] (1.0, 3.0)") == len(BASELINES), row
    assert "Not measured yet: constant, seed 1." in page


def test_the_page_has_the_agreement_of_every_map_of_the_first_training(record):
    page = markdown(record)
    for text in QUANTITIES.values():
        for move in MAPS:
            assert f"| {text} | {move} | 0.9 [0.8, 0.95] | 40 |" in page
    assert page.count("0.9, 0.9") == len(QUANTITIES), "agreement of the second training is missing"


def test_orders_are_listed_from_the_best_retrained_one_and_only_if_retrained(record):
    page = markdown(record)
    assert "`assignment`" not in page, "an order that was not retrained is listed"
    orders = page.split("### The first training")[1]
    assert orders.index("`genetic`") < orders.index("`zigzag`")


def test_the_page_shows_the_figures_that_are_copied_and_the_one_that_is_drawn(record):
    for name in (*STUDY_FIGURES, "replicates"):
        assert f"../figures/full-{name}.png" in markdown(record)


def test_the_figure_of_gains_is_drawn_from_the_records(record, tmp_path):
    groups = applications.page.groups(record)
    save_png(
        lambda: draw_groups(groups, applications.page.NOTE, applications.WIDTH),
        tmp_path / "gains.png",
    )
    assert (tmp_path / "gains.png").stat().st_size > 10_000


def test_the_page_contains_machine_versions_and_configurations(record):
    page = markdown(record)
    assert f"torch {record['cells'][0]['made']['versions']['torch']}" in page
    assert config_hash(*(cell["config"] for cell in record["cells"])) in page


def test_the_record_is_plain_json_without_private_provenance(record):
    assert json.loads(json.dumps(record)) == record
    assert "provenance" not in record["cells"][0]["curriculum"]


def test_the_page_tells_the_method_and_the_compute_of_each_search(record):
    assert "| constant | 1 | steps (39) |" in markdown(record)
    assert "| cosine | 2 | global (39), global (39) |" in markdown(record)


def test_gains_in_fresh_retrainings_have_their_table(record):
    page = markdown(record)
    row = next(line for line in page.splitlines() if line.startswith("| constant | 0.3 "))
    assert row.count("(3.0)") == 4, row
    del record["cells"][2]["curriculum"]["fresh"]
    assert "retrained afresh" not in markdown(record)


def enough_random_orders(record):
    for cell in record["cells"]:
        cell["curriculum"]["compute"] |= {"random_orders_for_it": 40, "random_orders_had": 40}
    return record


def test_a_baseline_of_too_few_fresh_orders_is_told_below_the_table(record):
    assert "overestimated" not in markdown(enough_random_orders(record))
    for draw in record["cells"][2]["curriculum"]["fresh"]:
        draw["compute"] = {"random_orders_for_it": 40, "random_orders_had": 16}
    assert "overestimated:\n\n* synthetic: the baseline" in markdown(record)


def test_a_baseline_of_too_few_orders_is_told_below_the_table_of_gains(record):
    assert "overestimated" not in markdown(enough_random_orders(record))
    record["cells"][2]["curriculum"]["compute"]["random_orders_had"] = 16
    line = f"* {record['cells'][2]['label']}: the baseline of the same compute is the best of 16"
    assert f"overestimated:\n\n{line}" in markdown(record)


def test_the_sentence_of_the_readme_has_the_gain_of_each_schedule(record):
    for cell in record["cells"]:
        cell["config"]["curriculum"] = {"method": "auto"}
    text = in_short(record)
    assert "cosine 0.2 [-1.07, 1.47], n = 2; constant 0.2, n = 1." in text
    record["cells"][2]["config"]["curriculum"] = {"method": "steps"}
    assert "constant" not in in_short(record), "a search that is only compared is quoted"


def test_the_page_says_which_trainings_gain_over_random_orders(record):
    page = markdown(record)
    assert "It is not: cosine. A single study has no interval: constant." in page


def test_searches_by_steps_have_their_progress(record):
    assert "searches by steps went on" not in markdown(record)
    steps = {"retrainings": 3.0, "starts": [3.4], "rounds": []}
    record["cells"][2]["curriculum"]["step_search"] = steps
    section = markdown(record).split("### How searches by steps went on")[1]
    assert "| constant |" in section
    assert "../figures/full-search_progress.png" in section


def test_heuristic_orders_are_ranked_beside_the_winner(record):
    section = markdown(record).split("### Heuristic orders")[1]
    places = [section.index(name) for name in ("the winner", "`zigzag`")]
    assert places == sorted(places), "zigzag is worse than the winner"
    assert "| the winner of the search | 7, 7 | 7 |" in section


def test_the_trainings_are_the_preset_and_its_replicates(monkeypatch, tmp_path):
    cells = applications.cells()
    full = load_config("config.yaml", "presets/full.yaml")
    assert len(cells) == 1 + len(full["curriculum"]["replicates"])
    assert len({cell.name for cell in cells}) == len(cells), "two trainings have one name"
    assert [cell.draws for cell in cells] == [True] + [False] * (len(cells) - 1)
    base = cells[0].study.config()
    assert base["memorization"] == full["memorization"]
    assert all(not cell.study.config()["curriculum"]["replicates"] for cell in cells)


def test_an_unknown_training_raises_one_line():
    with pytest.raises(SystemExit, match=r"error: --only: unknown row `x`; the rows are seed0-cos"):
        applications.main(["--only", "x"])
