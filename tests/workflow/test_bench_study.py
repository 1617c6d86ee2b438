"""The benchmark measures, and collects its rows, on the files of a real study."""

import pytest

from bench import bench, performance
from bench.studies import Study
from workflow_tree import states

pytestmark = pytest.mark.study


@pytest.fixture
def smoke(finished, monkeypatch):
    """Work in the finished tree, with the smoke study as the only one."""
    monkeypatch.chdir(finished.root)
    monkeypatch.setattr(performance, "COPIED", 2**20)
    monkeypatch.setattr(performance, "REPETITIONS", 1)
    return Study("smoke", "smoke")


def test_everything_is_measured_and_the_study_does_not_change(smoke):
    before = states(smoke.results)
    record = performance.measure(smoke)
    assert states(smoke.results) == before
    assert record["study"] == "smoke"
    for rate in ("training", "table", "written"):
        assert record["gradients"][f"{rate}_units_per_second"] > 0
    for name in ("order0", "nystrom"):
        assert record["replay"][name]["of_bandwidth"] > 0
    assert record["reduced"]["schedules_per_second"] > 0


def test_rows_are_collected_from_a_real_study(smoke, monkeypatch):
    monkeypatch.setattr(bench, "SEEDS", {"smoke": smoke})
    monkeypatch.setattr(bench, "BESIDE", {})
    measured = {"reduced": {"schedules_per_second": 1.0}}
    record = bench.collect({"measured": measured})
    assert [row["estimator"] for row in record["rows"]].count("nystrom@barycentre") >= 2
    assert record["rows"][4]["mean"]["value"] > 0, "the precomputation cost nothing"
    assert record["studies"]["smoke"]["verdict"]
