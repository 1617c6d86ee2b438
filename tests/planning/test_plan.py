"""The plan of a study: what it adds up to, and what it refuses."""

import resource
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from configs import ROOT, config
from trainorder.errors import UserError
from trainorder.planning import plan as plan_module
from trainorder.planning.disk_check import check_disk, check_temporary, vector_bytes
from trainorder.planning.plan import plan
from trainorder.planning.plan_comparison import Pair
from trainorder.planning.plan_table import plan_table
from trainorder.planning.sizes import Sizes
from trainorder.planning.stages import stages

CHEAP = [
    {"method": "constant", "path": "reference"},
    {"method": "order0", "path": "barycentre"},
]
LAYER = {"estimators": CHEAP, "curriculum": None, "memorization": None}


@pytest.fixture(autouse=True)
def top(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def cheap(tmp_path):
    """Return a plan of a small study on some cores."""

    def planned(cores=1, replicates=(), **values):
        return plan(config("smoke", **LAYER, **values), replicates, cores, tmp_path / "results")

    return planned


def test_the_total_is_the_sum_of_the_stages_and_of_the_replicates(cheap):
    other = config("smoke", **LAYER, study="again")
    record = cheap(replicates=[other])
    parts = [*record["stages"].values(), *record["replicates"].values()]
    for kind in ("jobs", "retrainings", "bytes", "seconds"):
        assert record["total"][kind] == pytest.approx(sum(part[kind] for part in parts))
    assert set(record["replicates"]) == {"again"}
    assert record["replicates"]["again"]["counts"] == {
        kind: n / 2 for kind, n in record["total"]["counts"].items()
    }, "a study that repeats another costs something else"


def test_time_is_shared_by_the_cores_that_jobs_can_use():
    one, many = (
        plan(config("smoke", **LAYER), [], cores, ROOT / "results" / "planned")["total"]
        for cores in (1, 1000)
    )
    assert one["wall_hours"] == pytest.approx(one["hours"])
    assert 0 < many["wall_hours"] < many["hours"], "jobs that wait for each other take no time"


def test_jobs_of_more_threads_than_there_are_cores_run_one_at_a_time(cheap):
    total = cheap(cores=2, threads=2)["total"]
    assert total["wall_hours"] == pytest.approx(total["hours"])


def test_the_table_names_every_stage_and_what_was_assumed(cheap):
    record = cheap(expansion__anchors="auto")
    text = plan_table(record)
    for name in record["stages"]:
        assert f"\n{name} " in text, f"{name} is in no row"
    for line in [*record["assumed"], *record["left_out"]]:
        assert line in text
    assert any("anchors" in line for line in record["assumed"])
    assert "WARNING" not in text
    record["machine_bytes"] = record["total"]["peak_bytes"] - 1
    assert "WARNING: a job may need" in plan_table(record)


HUGE = {
    "units": {"window__units": 10**5},
    "model": {"model__hidden_size": 2**20},
    "both": {"window__units": 10**5, "model__hidden_size": 2**14},
    "maps by replay": {"name": "smoke", "window__units": 10**5, "model__hidden_size": 2**12},
    "sketches": {"sketch_rows": 10**13},
}


@pytest.mark.parametrize("case", HUGE)
def test_what_cannot_fit_the_disk_is_refused_in_one_line_and_nothing_is_timed(
    case, tmp_path, monkeypatch
):
    timed = []
    monkeypatch.setattr(plan_module, "measure_speed", lambda *_, **__: timed.append(True))
    results = tmp_path / "results" / "huge"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError) as caught:
        plan(config(**HUGE[case]), [], 2, results)
    line = str(caught.value)
    assert "\n" not in line
    for part in (str(results), "TB", "lower"):
        assert part in line, f"the line does not say `{part}`: {line}"
    assert not timed
    assert not results.parent.exists(), "a refused study leaves nothing"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 2**20, f"{grown} kB were taken to count what is not there"


def test_what_the_study_has_made_already_counts_as_room(tmp_path):
    most = shutil.disk_usage(tmp_path).free // 4  # numbers; the sketches alone take more
    made = [stages(Sizes(config("smoke", **LAYER, sketch_rows=most)))]
    with pytest.raises(UserError):
        check_disk(made, tmp_path, 1)
    needed = sum(stage.bytes + stage.scratch for stage in made[0])
    with open(tmp_path / "truth.h5", "wb") as handle:
        handle.truncate(needed)  # takes no room itself
    check_disk(made, tmp_path, 1)


def test_vectors_in_files_must_fit_for_all_jobs_at_once_and_beside_results_on_the_same_disk(
    tmp_path, monkeypatch
):
    scattered = [{"method": "taylor1", "path": "reference"}]
    sizes = Sizes(config("smoke", **LAYER | {"estimators": scattered}, memory_gb=0))
    every = [stages(sizes)]
    alone = max(vector_bytes(stage, sizes)[1] for stage in every[0])
    most = max(vector_bytes(stage, sizes)[1] * min(2, stage.jobs) for stage in every[0])
    results = sum(stage.bytes for stage in every[0]) + max(stage.scratch for stage in every[0])
    free = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free[-1]))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/dev/shm")
    for room, slots, elsewhere in [
        (alone, 1, True), (most, 2, True), (alone + results, 1, False),
    ]:  # fmt: skip
        folder = tmp_path if elsewhere else Path("/dev/shm/no-results")
        free.append(room)
        check_temporary(every, sizes, folder, slots)
        free.append(room - 1)
        with pytest.raises(UserError, match="set TMPDIR to a larger disk") as caught:
            check_temporary(every, sizes, folder, slots)
        assert "\n" not in str(caught.value)
    assert most > alone, "no stage has two jobs that keep vectors in files"


def test_a_factor_is_the_same_either_way_and_infinite_for_what_was_not_planned():
    assert Pair(2, 3).factor == Pair(3, 2).factor == 1.5
    assert Pair(0, 0).factor == Pair(7, 7).factor == 1
    assert Pair(0, 1).factor == Pair(1, 0).factor == float("inf")
