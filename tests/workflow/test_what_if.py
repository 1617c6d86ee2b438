"""Rule `what_if` estimates orders of the user on a finished study and changes nothing else."""

import json
import re

import pytest
import yaml

from trainorder.orders.user_files import read_orders
from trainorder.storage.formats import read_csv
from trainorder.study import Study
from workflow_tree import SMOKE, assert_one_line, by_hand, copied, states

pytestmark = pytest.mark.study
ORDERS = (
    "name,kind,1,2,3,4,5,6\nbackwards,,5,4,3,2,1,0\nno-5,free,0,1,2,3,4,4\nodd-first,,1,3,5,0,2,4\n"
)
ENTRIES = [{"name": "again", "schedule": [[0], [1], [2], [3], [4], [5]]}]


@pytest.fixture(scope="module")
def estimated(finished, tmp_path_factory):
    """Return a tree in which `mine.csv` was estimated, the file states before, and the output."""
    tree = copied(finished, tmp_path_factory.mktemp("estimated") / "tree")
    (tree.root / "mine.csv").write_text(ORDERS)
    (tree.root / "other.json").write_text(json.dumps(ENTRIES))
    before = states(tree.results)
    status, output = tree.snakemake(
        "what_if", "--cores", "2", *SMOKE, "--config", "orders=mine.csv"
    )
    assert status == 0, output
    return tree, before, output


def test_the_table_contains_the_estimates_of_the_python_interface(estimated):
    tree, _, _ = estimated
    study, rows = Study.open(tree.results), read_csv(tree.results / "what_if.csv")
    orders = read_orders(tree.root / "mine.csv", study.window)
    assert len(rows) == len(orders) * len(study.metrics)
    row_of = {(row["order"], row["metric"]): row for row in rows}
    for order in orders:
        expected = study.estimate(order)
        for metric, value in expected.values.items():
            row = row_of[order.name, metric]
            numbers = [float(row[name]) for name in ("raw", "value", "low", "high")]
            expected_numbers = [value.raw, value.value, value.low, value.high]
            assert numbers == pytest.approx(expected_numbers, abs=1e-6)
            assert row["beyond"] == str(int(value.beyond))
            assert (row["estimator"], row["verdict"]) == (expected.estimator, expected.verdict)


def test_the_estimates_are_printed_with_the_verdict_and_its_advice(estimated):
    tree, _, output = estimated
    study = Study.open(tree.results)
    score = study.results.score(study.default_estimator)
    assert f"{study.default_estimator}: {score['verdict']}. {score['advice']}" in output
    for row in read_csv(tree.results / "what_if.csv"):
        if row["metric"] == "heldout":
            [line] = [line for line in output.splitlines() if line.startswith(row["order"])]
            numbers = [float(row[name]) for name in ("value", "low", "high")]
            after = line.removeprefix(row["order"])
            *printed, apart, spreads = map(float, re.findall(r"[+-]?\d+\.\d+", after))
            rounding = (numbers[2] - numbers[1]) / 20
            assert printed == pytest.approx(numbers, abs=rounding), (
                "too few digits to see the interval"
            )
            difference = numbers[0] - study.results.validation["reference"]["heldout"]
            assert apart == pytest.approx(difference, abs=rounding)
            spread = study.results.validation["spread"]["heldout"]["random"]["std"]
            assert spreads == pytest.approx(difference / spread, abs=0.1)
            assert ("outside the calibrated range" in line) == (row["beyond"] == "1")


def test_no_other_job_of_the_study_runs(estimated):
    tree, before, output = estimated
    assert "1 of 1 steps (100%) done" in output, "another job ran"
    after = states(tree.results)
    assert {path: after.get(path) for path in before} == before
    created = {str(path.relative_to(tree.results)) for path in after.keys() - before.keys()}
    assert created == {
        "what_if.csv",
        "logs/what_if.log",
        "logs/what_if.json",
    }


def test_the_study_is_up_to_date_with_and_without_orders_to_estimate(estimated):
    tree, _, _ = estimated
    assert tree.plan(*SMOKE).jobs == {}
    assert tree.plan("what_if", *SMOKE, "--config", "orders=mine.csv").jobs == {}
    assert tree.plan(*SMOKE, "--config", "orders=other.json").jobs == {"what_if": 1}


def test_orders_to_estimate_do_not_change_the_sequence_of_keys(estimated):
    tree, _, _ = estimated
    study = Study.open(tree.results)
    original = (tree.root / "config.yaml").read_text()
    # without --configfile, `orders` would be the first key that Snakemake meets
    (tree.root / "config.yaml").write_text(yaml.safe_dump(dict(study.config), sort_keys=False))
    try:
        assert tree.plan().jobs == {}
        plan = tree.plan("--config", "orders=other.json")
    finally:
        (tree.root / "config.yaml").write_text(original)
    assert plan.jobs == {"what_if": 1}, (
        "the order of keys changed, and Snakemake compares params as text"
    )


INVALID = {  # the name and the text of a file, and part of the error message
    "missing": ("absent.csv", None, "absent.csv: no such file"),
    "duplicate unit": ("a.csv", "name,1,2,3,4,5,6\nmine,0,0,2,3,4,5", "a.csv: order 'mine': not a"),
    "not a number": ("a.csv", "name,1,2,3,4,5,6\nmine,0,x,2,3,4,5", "a.csv: order 'mine': place 1"),
    "empty": ("a.csv", "", "a.csv: no orders"),
    "unknown unit": (
        "a.json",
        '{"name": "m", "schedule": [0, 1, 2, 3, 4, 9]}',
        "order 'm': unit 9",
    ),
}


def error_line(tree, *arguments):
    """Run Snakemake with invalid orders; return its only error line."""
    before = states(tree.results)
    status, output = tree.snakemake("what_if", "--cores", "1", *arguments)
    assert status == 1, output
    assert "Traceback" not in output, output
    [line] = [line for line in output.splitlines() if "error" in line.lower()]
    assert states(tree.results) == before, "a job ran"
    return line


@pytest.mark.parametrize("case", INVALID)
def test_invalid_orders_raise_one_line(finished, tmp_path, case):
    name, text, expected = INVALID[case]
    if text is not None:
        (tmp_path / name).write_text(text)
    line = error_line(finished, *SMOKE, "--config", f"orders={tmp_path / name}")
    assert line.startswith("error: ")
    assert expected in line


def test_missing_orders_raise_one_line(finished):
    assert (
        error_line(finished, *SMOKE) == "error: what_if: no orders file; add --config orders=FILE"
    )


def test_a_configuration_file_cannot_name_orders_to_estimate(finished, tmp_path):
    (tmp_path / "more.yaml").write_text("orders: mine.csv")
    line = error_line(finished, *SMOKE, str(tmp_path / "more.yaml"))
    assert line == "error: config: orders: expected a mapping of keys to values, not 'mine.csv'"


def test_the_script_raises_one_line_if_the_file_is_invalid(estimated):
    tree, _, _ = estimated
    job = tree.job("what_if")
    (tree.root / "bad.csv").write_text(ORDERS.replace("0,2,4", "0,2,5"))
    job["input"]["custom"] = "bad.csv"
    assert_one_line(
        by_hand(tree, "what_if", job), "bad.csv", "'odd-first'", "unit 4 occurs 0 times"
    )
