"""Orders of the user's own are estimated on the finished study, which stays as it is."""

import json
import re

import pytest
import yaml

from trainorder.orders.user_files import read_orders
from trainorder.storage.formats import read_csv
from trainorder.study import Study
from workflow_tree import SMOKE, assert_one_line, by_hand, copied, states

pytestmark = pytest.mark.study
MINE = (
    "name,kind,1,2,3,4,5,6\nbackwards,,5,4,3,2,1,0\nno-5,free,0,1,2,3,4,4\nodd-first,,1,3,5,0,2,4\n"
)
ENTRIES = [{"name": "again", "schedule": [[0], [1], [2], [3], [4], [5]]}]


@pytest.fixture(scope="module")
def asked(finished, tmp_path_factory):
    """Return a copy of the finished tree in which `mine.csv` was asked about, how its files stood
    before, and all that was printed."""
    tree = copied(finished, tmp_path_factory.mktemp("asked") / "tree")
    (tree.root / "mine.csv").write_text(MINE)
    (tree.root / "other.json").write_text(json.dumps(ENTRIES))
    before = states(tree.results)
    status, output = tree.snakemake(
        "what_if", "--cores", "2", *SMOKE, "--config", "orders=mine.csv"
    )
    assert status == 0, output
    return tree, before, output


def test_the_table_holds_what_the_study_says_from_python(asked):
    tree, _, _ = asked
    study, rows = Study.open(tree.results), read_csv(tree.results / "what_if.csv")
    orders = read_orders(tree.root / "mine.csv", study.window)
    assert len(rows) == len(orders) * len(study.metrics)
    found = {(row["order"], row["metric"]): row for row in rows}
    for order in orders:
        expected = study.estimate(order)
        for metric, value in expected.values.items():
            row = found[order.name, metric]
            numbers = [float(row[name]) for name in ("value", "low", "high")]
            assert numbers == pytest.approx([value.value, value.low, value.high], abs=1e-6)
            assert row["beyond"] == str(int(value.beyond))
            assert (row["estimator"], row["verdict"]) == (expected.estimator, expected.verdict)


def test_the_answer_is_printed_with_the_verdict_and_what_may_be_done(asked):
    tree, _, output = asked
    study = Study.open(tree.results)
    score = study.results.score(study.default_estimator)
    assert f"{study.default_estimator}: {score['verdict']}. {score['advice']}" in output
    for row in read_csv(tree.results / "what_if.csv"):
        if row["metric"] == "heldout":
            [line] = [line for line in output.splitlines() if line.startswith(row["order"])]
            numbers = [float(row[name]) for name in ("value", "low", "high")]
            printed = [float(text) for text in re.findall(r"\d+\.\d+", line)[-3:]]
            rounding = (numbers[2] - numbers[1]) / 20
            assert printed == pytest.approx(numbers, abs=rounding), "too few digits to see it"
            assert ("outside the calibrated range" in line) == (row["beyond"] == "1")


def test_nothing_of_the_study_is_made_again(asked):
    tree, before, output = asked
    assert "1 of 1 steps (100%) done" in output, "more was run than the orders asked about"
    after = states(tree.results)
    assert {path: after.get(path) for path in before} == before
    made = {str(path.relative_to(tree.results)) for path in after.keys() - before.keys()}
    assert made == {
        "what_if.csv",
        "logs/what_if.log",
        "logs/what_if.json",
    }


def test_the_study_is_not_stale_with_or_without_orders_to_estimate(asked):
    tree, _, _ = asked
    assert tree.plan(*SMOKE).jobs == {}
    assert tree.plan("what_if", *SMOKE, "--config", "orders=mine.csv").jobs == {}
    assert tree.plan(*SMOKE, "--config", "orders=other.json").jobs == {"what_if": 1}


def test_orders_do_not_move_the_keys_of_a_configuration(asked):
    tree, _, _ = asked
    study = Study.open(tree.results)
    kept = (tree.root / "config.yaml").read_text()
    # without --configfile, `orders` would be the first key that Snakemake meets
    (tree.root / "config.yaml").write_text(yaml.safe_dump(dict(study.config), sort_keys=False))
    try:
        assert tree.plan().jobs == {}
        plan = tree.plan("--config", "orders=other.json")
    finally:
        (tree.root / "config.yaml").write_text(kept)
    assert plan.jobs == {"what_if": 1}, "params are compared as text, and keys changed places"


REFUSED = {  # a file's name and text, and what the line says
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


def refused(tree, *arguments):
    """Run Snakemake with what cannot be used; return the one line that it ends with."""
    before = states(tree.results)
    status, output = tree.snakemake("what_if", "--cores", "1", *arguments)
    assert status == 1, output
    assert "Traceback" not in output, output
    [line] = [line for line in output.splitlines() if "error" in line.lower()]
    assert states(tree.results) == before, "a step ran"
    return line


@pytest.mark.parametrize("case", REFUSED)
def test_orders_that_cannot_be_used_are_one_line(finished, tmp_path, case):
    name, text, expected = REFUSED[case]
    if text is not None:
        (tmp_path / name).write_text(text)
    line = refused(finished, *SMOKE, "--config", f"orders={tmp_path / name}")
    assert line.startswith("error: ")
    assert expected in line


def test_asking_without_orders_is_one_line(finished):
    assert refused(finished, *SMOKE) == "error: what_if: no orders file; add --config orders=FILE"


def test_a_configuration_file_cannot_name_orders_to_estimate(finished, tmp_path):
    (tmp_path / "more.yaml").write_text("orders: mine.csv")
    line = refused(finished, *SMOKE, str(tmp_path / "more.yaml"))
    assert line == "error: config: orders: expected a mapping of keys to values, not 'mine.csv'"


def test_the_step_by_hand_says_one_line_of_a_file_that_has_changed(asked):
    tree, _, _ = asked
    job = tree.job("what_if")
    (tree.root / "bad.csv").write_text(MINE.replace("0,2,4", "0,2,5"))
    job["input"]["custom"] = "bad.csv"
    assert_one_line(
        by_hand(tree, "what_if", job), "bad.csv", "'odd-first'", "unit 4 occurs 0 times"
    )
