"""The summary of a finished study says what its result files say."""

import json
import subprocess
import sys

import pytest

import synthetic
from trainorder.evaluation.results import Results
from trainorder.workflow.summary import fastest_estimator, summary


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the results of a synthetic study."""
    study = synthetic.make(tmp_path_factory.mktemp("summary"))
    study.validate()
    (study.results / "explorer.html").write_text("")
    return study.results


@pytest.fixture
def rows(folder):
    return dict(summary(Results.read(folder), folder))


def test_the_verdict_is_that_of_the_best_and_the_costs_are_those_of_the_selected(folder, rows):
    record = json.loads((folder / "validation.json").read_text())
    best, selected = record["best_estimator"], record["selected_estimator"]
    reason = record["estimators"][best]["verdict_reason"]
    assert rows["verdict"] == f"{record['verdict']}: {reason}"
    assert rows["recommended"].startswith(f"{selected}: ")
    assert ("most accurate" in rows) == (best != selected)
    score = record["estimators"][selected]
    assert score["verdict"] == record["verdict"]
    assert f"{score['cost']['precompute_retrainings']:.3g} retrainings" in rows["recommended"]
    assert f"{score['cost']['per_order_retrainings']:.2g} per order" in rows["recommended"]


def test_the_fastest_estimator_has_the_verdict_of_the_study(folder):
    results = Results.read(folder)
    cheapest = results.score(fastest_estimator(results))
    best = results.score(results.validation["best_estimator"])
    assert cheapest["verdict"] == results.validation["verdict"]
    assert cheapest["cost"]["per_order_retrainings"] <= best["cost"]["per_order_retrainings"]


def test_spread_and_best_order_are_in_nats_and_spreads(folder, rows):
    spread = json.loads((folder / "validation.json").read_text())["spread"]["heldout"]["random"]
    assert f"{spread['std']:.2g} nats per token" in rows["spread"]
    assert rows["best order"].startswith("genetic: 0.02 nats (2 spreads) better")


def test_files_to_open_are_named(folder, rows):
    assert rows["explorer"] == str(folder / "explorer.html")
    assert "report" not in rows
    assert dict(summary(Results.read(folder), folder, folder / "report.html"))["report"]


def test_a_study_without_a_search_has_no_best_order(folder):
    results = Results.read(folder)
    vars(results)["curriculum"] = None
    assert "best order" not in dict(summary(results, folder))


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
