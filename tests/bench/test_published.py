"""The experiments of the published study in small: records, page, and answers made from them."""

import csv
import math
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import synthetic
from bench import published, published_page, published_record, studies
from bench.answers import accuracy, scale
from bench.answers import page as answers
from bench.answers.records import Records
from bench.page import NOT_MEASURED
from bench.published_record import TASK, study_record
from trainorder.config.study_config import parse
from trainorder.curriculum.gains import precompute_of
from trainorder.evaluation.results import Results
from workflow_tree import ROOT

SEARCH = {"propose": 5.0, "candidate_truth/0": 7.0}  # seconds of the jobs of the search


@pytest.fixture(scope="module")
def folder(synthetic_study, tmp_path_factory):
    """Return the results of a study with a search, with the costs of its jobs."""
    results = tmp_path_factory.mktemp("published") / "results/published-T32"
    shutil.copytree(synthetic_study.results, results)
    for job, seconds in SEARCH.items():
        counts = {"training": {"gradients": 2 * synthetic.RETRAINING}}
        synthetic.cost_record(results / f"costs/{job}.json", seconds, 2, counts)
    return results


@pytest.fixture(scope="module")
def record(folder):
    score = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 12}
    spread = {metric: {"mean": 0.3, "std": 0.01} for metric in TASK}
    task = {
        "spread": {**spread, f"{TASK[0]}/code": {"mean": 0.3, "std": 0.01}},
        "order_lds": {"fut@reference": dict.fromkeys([*TASK, f"{TASK[0]}/code"], score)},
        "orders": {"genetic": dict.fromkeys(TASK, 0.32)},
    }
    return {**study_record(folder), "label": "T = 32", "task": task}


@pytest.fixture
def page(record):
    return published_page.markdown({"cells": [record], "missing": ["T = 64"]})


def column(folder, name, *keys):
    with open(folder / name, newline="") as file:
        return {tuple(row[key] for key in keys): row for row in csv.DictReader(file)}


def test_a_difference_of_perplexity_is_that_of_the_written_losses(folder, record):
    truth = column(folder, "truth.csv", "order", "metric")
    rows = column(folder, "estimates.csv", "estimator", "order", "metric")
    for name in ("order0@barycentre", "taylor1@reference"):
        for field, shown in (("raw", ""), ("value", "recalibrated_")):
            errors = [
                abs(math.exp(float(row[field])) - math.exp(float(truth[order, "heldout"]["value"])))
                for (estimator, order, metric), row in rows.items()
                if estimator == name and metric == "heldout" and order.startswith("random-")
            ]
            entry = record["estimators"][name]
            assert entry[f"{shown}perplexity_error"] == pytest.approx(np.mean(errors)), field


def test_a_diverged_estimate_has_no_difference_of_perplexity(record, page):
    entry = record["estimators"]["fut-unguarded@reference"]
    assert entry["perplexity_error"] is None, "an infinite perplexity was averaged"
    [row] = [line for line in page.splitlines() if "`fut-unguarded@reference`, " in line]
    assert "| diverged |" in row


def test_losses_at_every_step_are_those_of_the_file(folder, record):
    along = column(folder, "stepwise_losses.csv", "estimator", "order", "step", "metric")
    for order, losses in record["stepwise"].items():
        assert len(losses["true"]) == synthetic.STEPS + 1
        for step in (0, 16, synthetic.STEPS):
            row = along["order0@reference", order, str(step), "heldout"]
            assert losses["true"][step] == float(row["true"])
            assert losses["estimated"]["order0@reference"][step] == float(row["estimated"])


def test_the_search_has_the_costs_of_its_jobs(record):
    costs = record["search_costs"]
    assert costs["propose"]["seconds"] == SEARCH["propose"]
    assert costs["propose"]["retrainings"] == 2
    retrained = [costs[part]["retrainings"] for part in ("searched", "heuristic")]
    assert sum(retrained) == pytest.approx(2)
    assert min(retrained) > 0, "searched and heuristic orders are not told apart"
    assert costs["reduced@barycentre"]["bytes"] > 60_000_000, "the curvature is not counted"
    assert all(part["peak_bytes"] > 0 for part in costs.values())


def test_the_parts_of_the_search_are_those_of_its_compute(folder, record):
    """What both estimators cost before the search is what the baseline of chance counts."""
    results = Results.read(folder)
    names = results.curriculum["verdicts"]
    assert len(names) == 2
    expected = precompute_of({name: results.score(name)["cost"] for name in names})
    parts = [record["search_costs"][name]["retrainings"] for name in names]
    paths = {name.partition("@")[2] for name in names}
    assert (sum(parts) if len(paths) == 2 else max(parts)) == pytest.approx(expected)


def test_the_task_of_a_structured_order_is_that_of_the_study_s_own_retraining(folder, monkeypatch):
    """The search proposes some orders that the study has retrained, and does not repeat them."""
    results = Results.read(folder)
    truth = {name: {**of, **dict.fromkeys(TASK, 0.3)} for name, of in results.truth.items()}
    orders = [*results.curriculum["orders"], {"name": "reversed", "kind": "field", "true": 3.0}]
    curriculum = {**results.curriculum, "orders": orders}
    asked = []

    def shards(files, key, names, rule):
        asked.extend(names)
        values = np.full((len(names), len(TASK)), 0.4)
        return SimpleNamespace(metrics=list(TASK), value=values, rows=lambda of: range(len(of)))

    monkeypatch.setattr(published_record, "read_truth", shards)
    actual = published_record._task_of_candidates(
        replace(results, truth=truth, curriculum=curriculum), folder
    )
    assert "reversed" not in asked, "the shards of the search do not have this order"
    assert actual["reversed"] == dict.fromkeys(TASK, 0.3)
    assert asked
    assert all(actual[name] == dict.fromkeys(TASK, 0.4) for name in asked)


def test_the_page_tells_what_searched_orders_do_to_the_task(page):
    assert "| `genetic` | 0.32 (+2.0 spreads) | 0.32 (+2.0 spreads) |" in page
    assert f"| `{TASK[0]}/code` | 0.3 ± 0.01 |" in page


def test_the_page_has_every_estimator_map_and_order_and_names_what_is_missing(record, page):
    for name in record["estimators"]:
        assert page.count(f"| `{name}`") >= 2, f"{name} is not in both tables"
    assert "Not measured yet: T = 64." in page
    assert "| `genetic` | search |" in page
    assert "`assignment`" not in page, "an order that was not retrained is listed"
    assert "| loss on the unit itself (memorization) | swap |" in page
    for name in published_page.FIGURES:
        assert f"../figures/published-{name}.png" in page


def test_the_mean_error_at_a_step_is_over_the_orders_of_the_estimator():
    orders = {
        "a": {"true": [5.0, 4.0], "estimated": {"x": [5.0, 4.5], "y": [5.0, None]}},
        "b": {"true": [5.0, 3.0], "estimated": {"x": [5.0, 2.0]}},
    }
    assert published_page.mean_error(orders, "x", 1) == 0.75
    assert published_page.mean_error(orders, "y", 1) is None


def test_the_windows_have_valid_configurations_and_only_one_has_applications(top):
    configs = [cell.study.config() for cell in published.cells()]
    for config in configs:
        parse(config)
        assert config["stepwise_losses"]
        assert (config["multiple_choice"] is None) == (config["curriculum"] is None)
        assert {entry["method"] for entry in config["estimators"]} >= {"fut", "fut++", "corrected"}
    assert [config["window"]["units"] for config in configs] == [8, 16, 32, 64, 128]
    applied = [config["window"]["units"] for config in configs if config["curriculum"]]
    assert applied == [published.APPLICATIONS]


def test_without_records_every_answer_is_not_measured_yet(tmp_path):
    for name, text in answers.sections(Records(tmp_path)).items():
        rows = text.splitlines()[2:]
        assert rows, name
        for row in rows:
            assert NOT_MEASURED in row, f"{name}: a number is not from a record: {row}"


def test_answers_use_the_record_of_a_window(record, tmp_path):
    records = Records(tmp_path)
    config = {"expansion": {"anchors": "auto"}, "multiple_choice": 4}
    records.read["published"] = {"cells": [{**record, "config": config}]}
    tables = answers.sections(records)["tables"]
    [row] = [line for line in tables.splitlines() if "table 1" in line]
    error = record["estimators"]["fut@reference"]["perplexity_error"]
    assert f"`fut` {error:.3g}" in row
    assert NOT_MEASURED not in row


def test_an_estimator_without_losses_at_every_step_is_not_called_diverged(record, tmp_path):
    entry = record["estimators"]["fut@reference"]
    cell = {**record, "estimators": {**record["estimators"], "ridge": entry}}
    records = Records(tmp_path)
    records.read["published"] = {"cells": [cell]}
    text = accuracy.stepwise_errors(records)
    assert "`fut`" in text
    assert "ridge" not in text, "it has no losses along the window, which is no divergence"


def test_the_page_of_the_published_study_is_made_from_the_records(monkeypatch):
    monkeypatch.chdir(ROOT)
    page = answers.PAGE.read_text(encoding="utf-8")
    for name, text in answers.sections(Records()).items():
        shown = page.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
        assert shown == f"\n{text}\n", f"{name}: run docs/quote_results.py --published"


@pytest.mark.slow
def test_the_costs_at_the_published_scale_are_those_of_the_plan(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(studies, "FOLDER", tmp_path)
    page = answers.PAGE.read_text(encoding="utf-8")
    shown = page.split("<!-- scale -->")[1].split("<!-- /scale -->")[0]
    text = answers.scale(Records())
    assert shown == f"\n{text}\n", "run docs/quote_results.py --published"


@pytest.mark.slow
def test_terms_grow_with_the_square_of_the_window_and_residuals_with_its_length(
    monkeypatch, tmp_path
):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(studies, "FOLDER", tmp_path)
    methods = scale.methods(share=0.25)
    costs = {
        name: scale.scaled("0.2 B", entry, **layer)
        for name, (entry, layer) in methods.items()
        if "corrected" in name or "published" in name
    }
    published_terms, one, many = costs.values()
    size, steps = one.parameters, one.steps
    assert published_terms.term_bytes == 4 * steps**2 * size
    assert published_terms.precompute == steps + 1, "a gradient at each step of each unit"
    assert size * steps <= one.term_bytes < 1.1 * size * steps, "a byte per number and unit"
    assert many.term_bytes == (1 + scale.RUNS) * one.term_bytes
    assert (one.precompute, one.per_order) == (2, 0.25)
