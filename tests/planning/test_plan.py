"""The plan of a study: its totals, and the studies for which it raises."""

import re
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
from trainorder.planning.plan_text import plan_text
from trainorder.planning.sizes import Sizes
from trainorder.planning.stages import stages
from trainorder.storage.formats import duration_text, size_text

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
    """Return a function that plans a small study."""

    def planned(cores=1, replicates=(), **values):
        return plan(config("smoke", **LAYER, **values), replicates, cores, tmp_path / "results")

    return planned


def test_the_total_is_the_sum_of_stages_and_replicates(cheap):
    other = config("smoke", **LAYER, study="again")
    record = cheap(replicates=[other])
    parts = [*record["stages"].values(), *record["replicates"].values()]
    for kind in ("jobs", "retrainings", "bytes", "seconds"):
        assert record["total"][kind] == pytest.approx(sum(part[kind] for part in parts))
    assert set(record["replicates"]) == {"again"}
    assert record["replicates"]["again"]["counts"] == {
        kind: n / 2 for kind, n in record["total"]["counts"].items()
    }, "an identical study has other costs"


def test_time_is_divided_by_the_cores_that_jobs_can_use():
    one, many = (
        plan(config("smoke", **LAYER), [], cores, ROOT / "results" / "planned")["total"]
        for cores in (1, 1000)
    )
    assert one["wall_hours"] == pytest.approx(one["hours"])
    assert 0 < many["wall_hours"] < many["hours"], (
        "the time is not between 0 and the time on one core"
    )


def test_jobs_with_as_many_threads_as_cores_run_one_at_a_time(cheap):
    total = cheap(cores=2, threads=2)["total"]
    assert total["wall_hours"] == pytest.approx(total["hours"])


def printed(record):
    return plan_text(record, "trainorder run -- predictability")


def test_the_plan_lists_every_stage_and_assumption(cheap):
    record = cheap(expansion__anchors="auto")
    text = printed(record)
    for name in record["stages"]:
        assert f"\n{name} " in text, f"{name} has no row"
    for line in [*record["assumed"], *record["left_out"]]:
        assert line in text
    assert any("anchors" in line for line in record["assumed"])


def test_the_costs_of_the_study_are_the_first_and_the_last_that_a_user_reads(cheap):
    record = cheap(cores=3, threads=2)
    total, lines = record["total"], printed(record).splitlines()
    head = dict(line.split(maxsplit=1) for line in lines[1:5])
    hours = f"{2 * total['hours']:.3g} core hours"
    for text in (head["time"], lines[-1]):
        assert hours in text, "core hours are not the hours of jobs times the threads of a job"
        assert f"{duration_text(3600 * total['wall_hours'])} on 3 cores" in text
    for kind, name in (("bytes", "disk"), ("peak_bytes", "memory")):
        assert head[name].startswith(size_text(total[kind]))
        assert f"{size_text(total[kind])} of {name}" in lines[-1]
    retrainings = head["retrainings"].partition(":")[0]
    assert float(retrainings) == pytest.approx(total["retrainings"], rel=0.01)
    assert f" {retrainings} retrainings" in lines[-1]


def test_the_largest_stages_are_named_largest_first_with_their_shares(cheap):
    record = cheap(replicates=[config("smoke", **LAYER, study="again")])
    text, total = printed(record), record["total"]
    for label, kind in (("most time", "seconds"), ("most disk", "bytes")):
        [line] = re.findall(rf"^  {label} +(.*)$", text, re.M)
        shares = [part.rpartition(" ") for part in line.split(", ")]
        parts = {**record["stages"], "replicate again": record["replicates"]["again"]}
        sizes = sorted((entry[kind] for entry in parts.values()), reverse=True)
        assert [parts[name][kind] for name, _, _ in shares] == sizes[:3]
        assert [share for _, _, share in shares] == [f"{n / total[kind]:.0%}" for n in sizes[:3]]


def test_a_plan_names_the_command_that_measures_predictability(cheap):
    record = cheap()
    assert "`trainorder run -- predictability`" in printed(record)
    record["predictability"] = "growth 1.10"
    assert "trainorder" not in printed(record)
    assert re.search(r"predictability +growth 1.10$", printed(record), re.M)


def test_too_little_memory_is_the_last_line(cheap):
    record = cheap()
    assert "WARNING" not in printed(record)
    record["machine_bytes"] = record["total"]["peak_bytes"] - 1
    assert printed(record).splitlines()[-1].startswith("WARNING: a job may need")


HUGE = {
    "units": {"window__units": 10**5},
    "model": {"model__hidden_size": 2**20},
    "both": {"window__units": 10**5, "model__hidden_size": 2**14},
    "maps by replay": {"name": "smoke", "window__units": 10**5, "model__hidden_size": 2**12},
    "sketches": {"sketch_rows": 10**13},
}


@pytest.mark.parametrize("case", HUGE)
def test_a_study_larger_than_the_disk_raises_one_line_before_timing(case, tmp_path, monkeypatch):
    timed = []
    monkeypatch.setattr(plan_module, "measure_speed", lambda *_, **__: timed.append(True))
    results = tmp_path / "results" / "huge"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError) as error:
        plan(config(**HUGE[case]), [], 2, results)
    message = str(error.value)
    assert "\n" not in message
    for part in (str(results), "TB", "lower"):
        assert part in message, f"the message does not contain `{part}`: {message}"
    assert not timed
    assert not results.parent.exists(), "a folder was created"
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert growth < 2**20, f"counting allocated {growth} kB"


def test_existing_results_of_the_study_count_as_free_disk_space(tmp_path):
    rows = shutil.disk_usage(tmp_path).free // 4  # the sketches alone need more than the free space
    every = [stages(Sizes(config("smoke", **LAYER, sketch_rows=rows)))]
    with pytest.raises(UserError):
        check_disk(every, tmp_path, 1)
    needed = sum(stage.bytes + stage.scratch for stage in every[0])
    with open(tmp_path / "truth.h5", "wb") as handle:
        handle.truncate(needed)  # a sparse file uses no disk space
    check_disk(every, tmp_path, 1)


def test_temporary_files_must_fit_for_all_parallel_jobs_and_beside_results_on_the_same_disk(
    tmp_path, monkeypatch
):
    entries = [{"method": "taylor1", "path": "reference"}]
    sizes = Sizes(config("smoke", **LAYER | {"estimators": entries}, memory_gb=0))
    every = [stages(sizes)]
    largest_job = max(vector_bytes(stage, sizes)[1] for stage in every[0])
    largest_stage = max(vector_bytes(stage, sizes)[1] * min(2, stage.jobs) for stage in every[0])
    results = sum(stage.bytes for stage in every[0]) + max(stage.scratch for stage in every[0])
    free = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free[-1]))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/dev/shm")
    for room, slots, elsewhere in [
        (largest_job, 1, True), (largest_stage, 2, True), (largest_job + results, 1, False),
    ]:  # fmt: skip
        folder = tmp_path if elsewhere else Path("/dev/shm/no-results")
        free.append(room)
        check_temporary(every, sizes, folder, slots)
        free.append(room - 1)
        with pytest.raises(UserError, match="set TMPDIR to a larger disk") as error:
            check_temporary(every, sizes, folder, slots)
        assert "\n" not in str(error.value)
    assert largest_stage > largest_job, "no stage has two jobs with vectors in files"
