"""The speed is measured, and a row of the benchmark summarized, on the files of a real study."""

import numpy as np
import pytest

import trainorder
from bench import poisoned, replay_parts, speed_measurements, timing
from bench.grid import summary
from bench.studies import Study
from trainorder import Order
from trainorder.memorization.poisoned import poisoned_units
from trainorder.orders.order import FREE
from workflow_tree import states

pytestmark = pytest.mark.study


@pytest.fixture
def smoke(finished, monkeypatch):
    """Work in the finished tree, with the smoke study as the only one."""
    monkeypatch.chdir(finished.root)
    monkeypatch.setattr(speed_measurements, "COPIED", 2**20)
    monkeypatch.setattr(timing, "REPETITIONS", 1)
    monkeypatch.setattr(replay_parts, "ORDERS", 2)
    return Study("smoke", "smoke")


def test_everything_is_measured_and_the_study_does_not_change(smoke):
    before = states(smoke.results)
    record = speed_measurements.measure(smoke)
    assert states(smoke.results) == before
    assert record["study"] == "smoke"
    for rate in ("training", "table", "written"):
        assert record["gradients"][f"{rate}_units_per_second"] > 0
    for name in ("order0", "nystrom"):
        assert record["replay"][name]["of_bandwidth"] > 0
    parts = record["parts"]
    corrected, nystrom = (
        parts["estimators"][name] for name in (parts["selected"], "nystrom@barycentre")
    )
    for own in (corrected, nystrom):
        assert own["seconds"]["replay"] > 0
        assert own["seconds"]["reading"] > 0
        assert own["file_bytes"] > 4 * record["parameters"], "the files have no vector"
    assert nystrom["sequences"] == 0, "low-rank curvature differentiates nothing"
    visits = parts["orders"] * record["steps"]  # the first steps of two orders may be alike
    assert visits / 2 < corrected["sequences"] / parts["size"] <= visits
    assert record["reduced"]["schedules_per_second"] > 0


def test_a_row_is_summarized_from_a_real_study(smoke):
    record = summary(smoke.read())
    assert record["estimators"]["nystrom@barycentre"]["precompute_retrainings"] > 0
    assert record["peak_bytes"] > 0
    assert record["verdict"]


def test_the_effect_of_a_poisoned_unit_is_that_of_replays_with_it_and_with_another_unit(smoke):
    study, name = trainorder.Study.open(smoke.results), "nystrom@barycentre"
    visits = study.orders.reference.schedule.reshape(-1).tolist()
    [unit] = poisoned_units(study.unit_domains)
    others = [other for other in visits if other != unit]
    # The poisoned unit is alone in its domain, so the next unit of the order replaces it.
    following = (visits * 2)[visits.index(unit) + 1]
    ends = [
        study.estimate(Order("by-hand", FREE, "custom", np.array([first, *others])[:, None]), name)
        for first in (unit, following)
    ]
    effect = poisoned.replayed_effect(study, name, unit, step=0)
    heldout = [end.values["heldout"].value for end in ends]
    assert effect["heldout"] == pytest.approx(heldout[0] - heldout[1], abs=1e-12)
    own = [study.problem.unit_loss(end.parameters, unit) for end in ends]
    assert effect["own"] == pytest.approx(own[0] - own[1], abs=1e-12)
