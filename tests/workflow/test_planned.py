"""`snakemake plan`: what it says of the smoke study, against what its jobs then did."""

import contextlib
import json
import re
from pathlib import Path

import pytest

from bench import plan as driver
from trainorder.planning.plan_comparison import compare_with_study
from workflow_tree import SMOKE, contents, work_tree

pytestmark = pytest.mark.study


def plan(tree):
    """Plan the smoke study; return the content of `plan.json` and what was printed."""
    status, output = tree.snakemake("plan", "--cores", "2", *SMOKE)
    assert status == 0, output
    return json.loads((tree.results / "plan.json").read_text()), output


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Return a tree of which nothing has run, and the plan that was made there."""
    tree = work_tree(tmp_path_factory.mktemp("planned"))
    return tree, *plan(tree)


def test_a_plan_prints_its_table_and_runs_nothing_of_the_study(fresh):
    tree, record, output = fresh
    for name in record["stages"]:
        assert re.search(rf"^{re.escape(name)} ", output, re.M), f"{name} is not printed"
    assert re.search(r"^total ", output, re.M)
    assert "1 of 1 steps (100%) done" in output, f"more than the plan was made: {output}"
    made = {path.name for path in tree.results.iterdir()}
    assert made == {"plan.json", "logs"}
    assert [path.name for path in (tree.results / "logs").glob("*.log")] == ["plan.log"]


def test_every_stage_of_the_study_has_its_row(fresh, finished):
    costs = {
        path.relative_to(finished.results / "costs").with_suffix("")
        for path in (finished.results / "costs").rglob("*.json")
    }
    stages = {str(path.parent if path.name.isdigit() else path) for path in costs}
    assert set(fresh[1]["stages"]) == stages


def test_counts_and_bytes_are_those_of_the_study(fresh, finished):
    found = compare_with_study(fresh[1], finished.results)
    estimated = {  # which orders meet in a unit is drawn; a search may propose the same twice
        ("propose", "forwards"),
        *((name, "gradients") for name in found if "taylor" in name),
        ("total", "gradients"),
        ("total", "forwards"),
    }
    for stage, pairs in found.items():
        for kind, pair in pairs.items():
            if kind in ("seconds", "peak_bytes", "bytes"):
                continue
            bound = driver.WITHIN if (stage, kind) in estimated else 1
            assert pair.factor <= bound, f"{stage}: {kind}: {pair}: its formula is not the code's"
    # Seconds are not compared: those of so small a study are all starts. Memory neither.
    largest = {"reference", "barycentre", "table", "curvature/barycentre", "reduced/barycentre"}
    for stage in [*largest, "truth", "estimate/order0@reference"]:
        pair = found[stage]["bytes"]
        assert 0.5 < pair.planned / pair.actual <= 1.05, f"{stage}: bytes: {pair}"


def test_a_finished_study_is_planned_again_without_harm_and_compared(study, monkeypatch, tmp_path):
    before = contents(study.results)
    record, _ = plan(study)
    after = contents(study.results)
    assert after.pop("plan.json")
    assert after == before, "planning changed the study"
    assert record["total"]["hours"] > 0
    monkeypatch.setattr(driver, "OUTPUT", tmp_path / "plan.md")
    with contextlib.suppress(SystemExit):  # the times of so small a study may be off
        driver.main([str(study.results)])
    page = (tmp_path / "plan.md").read_text()
    for name in record["stages"]:
        assert f"| `{name}` |" in page


def test_a_plan_of_another_study_is_one_line(study):
    (study.results / "plan.json").write_text(
        json.dumps({"stages": {"table/of-contents": {}}, "study": "smoke"})
    )
    with pytest.raises(SystemExit, match=r"error: .*table/of-contents: missing"):
        driver.main([str(study.results)])
    (study.results / "plan.json").unlink()
    with pytest.raises(SystemExit, match=r"plan.json: no such file; rerun rule `plan`"):
        driver.main([str(study.results)])


def test_a_study_that_cannot_fit_the_disk_is_refused_before_anything_is_made(tmp_path):
    tree = work_tree(tmp_path)
    (tmp_path / "huge.yaml").write_text("window: {units: 100000}\nmodel: {hidden_size: 4096}\n")
    status, output = tree.snakemake("plan", "--cores", "1", *SMOKE, str(Path("huge.yaml")))
    assert status != 0
    assert "Traceback" not in output
    [line] = re.findall(r"^error: .*$", output, re.M)
    assert re.search(r"results/smoke: the study takes .* TB, and its disk has", line), line
    assert not (tree.results / "plan.json").exists()
    assert not (tree.results / "corpus.h5").exists()
