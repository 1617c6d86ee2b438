"""The page of the applications shows the result files of its study."""

import json

import pytest

import synthetic
from bench import applications
from bench.applications_page import BASELINES, FIGURES, MOVES, QUANTITIES, markdown
from bench.studies import Study
from trainorder.errors import UserError


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory):
    """A folder in which the study `full` has result files; tests must not change them."""
    top = tmp_path_factory.mktemp("top")
    study = synthetic.make(top / "made", random=12, calibration=10)
    study.validate()
    (top / "results").mkdir()
    (top / "results/full").symlink_to(study.results)
    return top


@pytest.fixture
def record(study_folder, monkeypatch):
    monkeypatch.chdir(study_folder)
    return applications.collect(Study("full"))


def test_the_page_has_every_gain_with_its_interval_and_studies(record):
    page = markdown(record)
    for text in BASELINES.values():
        assert f"against {text}" in page
    row = next(
        line
        for line in page.splitlines()
        if line.startswith("| constant | 2 | trusted, rank only |")
    )
    assert row.count("0.02 [-0.1, 0.14] (1.1, 3.3)") == len(BASELINES), row


def test_the_page_has_the_agreement_of_every_map(record):
    page = markdown(record)
    for text in QUANTITIES.values():
        for move in MOVES:
            assert f"| {text} | {move} | 0.9 [0.8, 0.95] | 40 |" in page
    assert page.count("0.71, 0.83") == 2 * len(QUANTITIES), "agreement of replicates is missing"


def test_orders_are_listed_from_the_best_retrained_one_and_only_if_retrained(record):
    page = markdown(record)
    assert "`assignment`" not in page, "an order that was not retrained is listed"
    assert page.index("`genetic`") < page.index("`zigzag`")


def test_the_page_shows_the_figures_that_are_copied(record):
    for name in FIGURES:
        assert f"../figures/full-{name}.png" in markdown(record)


def test_the_page_contains_machine_and_versions(record):
    assert f"torch {record['versions']['torch']}" in markdown(record)


def test_a_study_without_results_raises_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"error: results/full/validation.json: no such file"):
        applications.main(["--collect"])


def test_a_study_without_replicates_raises_one_line(study_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/full").mkdir(parents=True)
    for file in (study_folder / "results/full").iterdir():
        if file.is_file() and file.name != "replicates.json":
            (tmp_path / "results/full" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UserError, match="no search, maps or replicates"):
        applications.collect(Study("full"))


def test_the_record_is_plain_json(record):
    assert json.loads(json.dumps(record)) == record


def searched_by_steps(record):
    """Return the record of an earlier version with what the search by steps adds."""
    record = json.loads(json.dumps(record))
    gain = record["replicates"]["groups"]["constant"]["gains"]["random_mean"]
    kinds = dict.fromkeys(["random_mean", "same_compute"], gain)
    record["replicates"]["groups"]["constant"] |= {
        "methods": ["steps", "global"],
        "compute": [98.4, 23.2],
        "fresh": {"text": kinds, "weights": kinds},
        "orders": {"winner": [2.5, 3.5], "zigzag": [-1.0, 0.5], "interleaved": [1.5, 2.0]},
    }
    del record["replicates"]["groups"]["cosine"]
    return record


def test_the_page_tells_the_method_and_the_compute_of_each_search(record):
    assert "| constant | 2 | steps (98), global (23) |" in markdown(searched_by_steps(record))
    assert "search (retrainings)" not in markdown(record), "an old record has no methods"


def test_gains_in_fresh_retrainings_have_their_table(record):
    page = markdown(searched_by_steps(record))
    row = next(line for line in page.splitlines() if line.startswith("| constant | 0.02 [-0.1"))
    assert row.count("0.02 [-0.1, 0.14] (1.1, 3.3)") == 4
    assert "retrained afresh" not in markdown(record)


def test_a_baseline_of_too_few_fresh_orders_is_told_below_the_table(record):
    assert "overestimated" not in markdown(searched_by_steps(record))
    short = searched_by_steps(record)
    short["replicates"]["groups"]["constant"]["fresh_shortfalls"] = ["b: the baseline is short"]
    assert "are overestimated:\n\n* b: the baseline is short" in markdown(short)


def test_heuristic_orders_are_ranked_beside_the_winner(record):
    page = markdown(searched_by_steps(record))
    section = page.split("### Heuristic orders")[1]
    places = [section.index(name) for name in ("the winner", "`interleaved`", "`zigzag`")]
    assert places == sorted(places)
    assert "| the winner of the search | 2.5, 3.5 |" in section
