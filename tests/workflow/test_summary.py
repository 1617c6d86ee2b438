"""The summary of a finished study says what its result files say."""

import csv
import json
import subprocess
import sys

import pytest

import synthetic
from trainorder.config.estimator_names import SCREENING
from trainorder.evaluation.estimate_cost import estimate_cost, retrainings_text
from trainorder.evaluation.results import Results
from trainorder.workflow.summary import fastest_estimator, summary


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the results of a synthetic study."""
    study = synthetic.make(tmp_path_factory.mktemp("summary"))
    study.validate()
    return study.results


@pytest.fixture
def rows(folder):
    return dict(summary(Results.read(folder), folder))


@pytest.fixture
def changed(folder):
    """Return a function that gives the summary of the study with changes."""

    def changed(content=None, **attributes):
        results = Results.read(folder)
        vars(results).update(attributes)
        if content:
            record = json.loads(json.dumps(results.validation))
            content(record)
            vars(results)["validation"] = record
        return dict(summary(results, folder))

    return changed


def test_the_verdict_is_that_of_the_best_and_the_costs_are_those_of_the_selected(folder, rows):
    record = json.loads((folder / "validation.json").read_text())
    best, selected = record["best_estimator"], record["selected_estimator"]
    reason = record["estimators"][best]["verdict_reason"]
    assert rows["verdict"] == f"{record['verdict']}, by {best}: {reason}"
    assert rows["recommended"].startswith(f"{selected}: ")
    assert (rows["most accurate"] == "the recommended one") == (best == selected)
    score = record["estimators"][selected]
    assert score["verdict"] == record["verdict"]
    cost = estimate_cost(record, selected)
    assert f"{retrainings_text(cost.before)} retrainings before the" in rows["recommended"]
    assert f"{retrainings_text(cost.each)} per order" in rows["recommended"]


def test_the_fastest_estimator_has_the_verdict_of_the_study(folder):
    results = Results.read(folder)
    cheapest = results.score(fastest_estimator(results))
    best = results.score(results.validation["best_estimator"])
    assert cheapest["verdict"] == results.validation["verdict"]
    assert cheapest["cost"]["per_order_retrainings"] <= best["cost"]["per_order_retrainings"]


def test_intervals_are_counted_on_held_back_random_orders(folder, rows):
    selected = json.loads((folder / "validation.json").read_text())["selected_estimator"]
    with open(folder / "estimates.csv", newline="") as handle:
        estimates = list(csv.DictReader(handle))
    true = Results.read(folder).truth
    inside = [
        float(row["low"]) <= true[row["order"]]["heldout"] <= float(row["high"])
        for row in estimates
        if row["estimator"] == selected
        and row["metric"] == "heldout"
        and row["order"].startswith("random-")
    ]
    assert f"contain {sum(inside)} of {len(inside)}" in rows["intervals"]
    assert rows["intervals"].startswith(f"{selected}: its intervals, meant to contain 90 %")


def test_spread_and_best_order_are_in_nats_and_spreads(folder, rows):
    spread = json.loads((folder / "validation.json").read_text())["spread"]["heldout"]["random"]
    assert f"{spread['std']:.2g} nats per token" in rows["spread"]
    assert rows["best order"].startswith("genetic: 0.02 nats (2 spreads) better")


def test_files_to_open_are_named(folder, tmp_path):
    results = Results.read(folder)
    empty = dict(summary(results, tmp_path))
    assert empty["report"] == "not written; `snakemake report_page` writes it"
    assert empty["explorer"] == f"none: it needs the estimator `{SCREENING}`"
    for name in ("report", "explorer"):
        (tmp_path / f"{name}.html").touch()
        assert dict(summary(results, tmp_path))[name] == str(tmp_path / f"{name}.html")


def test_a_line_without_a_value_says_why(rows, changed):
    """Otherwise a user takes a missing line for a missing result."""
    without_search = changed(curriculum=None)
    assert without_search["best order"] == "not searched; set `curriculum` in the configuration"

    def configured(record):
        record["provenance"]["config"]["curriculum"] = {"method": "genetic"}

    assert "`snakemake curriculum`" in changed(configured, curriculum=None)["best order"]

    def selected(record):
        return record["estimators"][record["selected_estimator"]]

    def without_coverage(record):
        selected(record)["coverage"]["heldout"]["random"]["value"] = None

    assert "ran on no held-back random order" in changed(without_coverage)["intervals"]

    def few(record):
        without_coverage(record)
        selected(record)["recalibration"]["heldout"]["rank"] = None

    assert "calibration orders are too few for intervals of 90%" in changed(few)["intervals"]

    def uncalibrated(record):
        without_coverage(record)
        selected(record)["recalibration"]["heldout"]["leave_one_out"] = None

    assert "needs finite estimates of at least 8" in changed(uncalibrated)["intervals"]
    assert without_search.keys() == rows.keys() == changed(uncalibrated).keys()


def test_only_the_summary_of_an_existing_run_says_how_much_of_it_is_verified(rows, changed):
    def with_run(record):
        record["existing_run"] = {"verified": [[0, 20]], "stored": [], "unverified": [[20, 32]]}

    assert "existing run" not in rows
    shown = changed(with_run)["existing run"]
    assert shown.startswith("20 of 32 steps are verified")
    assert "last 12 steps are not" in shown


def test_without_a_terminal_the_summary_is_plain_lines(folder, rows):
    command = [sys.executable, "-m", "trainorder.workflow.summary", str(folder)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split("  ")[0] for line in shown] == list(rows)
    assert not [line for line in shown if "\x1b" in line], "escape codes in a file"


def test_a_folder_without_results_is_one_line(tmp_path):
    command = [sys.executable, "-m", "trainorder.workflow.summary", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert len(ended.stderr.splitlines()) == 1
