"""The time left of a run follows the plan at first, and then the jobs that have finished."""

import re

import pytest

from configs import ROOT, config
from trainorder.config.methods import METHODS
from trainorder.planning.sizes import Sizes
from trainorder.planning.stages import stages
from trainorder.workflow.time_left import PlannedTime

PLAN = {
    "stages": {
        "truth": {"seconds": 600.0, "jobs": 2},
        "estimate/fut@reference": {"seconds": 50.0, "jobs": 1},
        "estimate/nystrom@barycentre": {"seconds": 30.0, "jobs": 1},
        "estimate/ridge": {"seconds": 3.0, "jobs": 1},
        "curvature/barycentre": {"seconds": 10.0, "jobs": 1},
    },
    "total": {"seconds": 693.0, "wall_hours": 693.0 / 2 / 3600},
}
JOBS = {"truth": 2, "estimate": 2, "ridge": 1, "curvature": 1}


@pytest.fixture
def planned():
    return PlannedTime.of(PLAN)


def test_before_the_first_job_ends_the_time_left_is_the_planned_time(planned):
    assert planned.left(JOBS, {}, 0.0) == pytest.approx(693 / 2)


@pytest.mark.parametrize("speed", [0.25, 1, 3])
def test_a_machine_of_another_speed_approaches_its_own_time(planned, speed):
    """Half of the work is done in half of the time; the plan counts less and less."""
    took = 300 / 2 / speed
    left, true = planned.left(JOBS, {"truth": 1}, took), 393 / 2 / speed
    assert min(true, 393 / 2) <= left <= max(true, 393 / 2)
    assert left == pytest.approx(true, rel=0.6), "the plan counts as much as half of the run"


def test_the_end_has_no_time_left(planned):
    assert planned.left(JOBS, JOBS, 500.0) == 0


def test_long_jobs_count_more_than_short_ones(planned):
    short = planned.left(JOBS, {"ridge": 1, "curvature": 1}, 10.0)
    long = planned.left(JOBS, {"truth": 2}, 10.0)
    assert long < short / 5


def test_a_resumed_run_counts_only_its_own_jobs(planned):
    assert planned.left({"ridge": 1}, {}, 0.0) == pytest.approx(3 / 2)


def test_jobs_of_replicates_count_as_those_of_the_study_and_unplanned_ones_as_short(planned):
    assert planned.work({"r2_truth": 1}) == planned.work({"truth": 1})
    assert planned.work({"figures": 1}) == planned.work({"ridge": 1})


def test_every_planned_stage_of_the_smoke_study_has_a_rule_that_exists():
    """A stage of an unknown rule would count as if none of its jobs ever ran."""
    every = stages(Sizes(config("smoke")))
    plan = {
        "stages": {stage.name: {"seconds": 1.0, "jobs": stage.jobs} for stage in every},
        "total": {"seconds": 1.0, "wall_hours": 1.0},
    }
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    rules = set(re.findall(r"rule (\w+):", text)) | set(re.findall(r" as (\w+) with:", text))
    unknown = set(PlannedTime.of(plan).seconds) - rules
    assert not unknown, f"no rule has the name {unknown}"
    assert {method.rule for method in METHODS.values()} <= rules
