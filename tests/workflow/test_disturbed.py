"""Faults of the machine during a job: no wrong file stays, and a rerun completes the job.

The jobs and the faults are real: a full disk, a limit on memory, SIGKILL, a folder mounted
read-only. The files after the rerun are compared with those of an undisturbed study, byte by byte.
"""

import json
import os
import shutil
import signal
from itertools import chain, count
from pathlib import Path

import pytest

from configs import replaced
from forking import DRAWN, Driver, can_mount, jumping_clock, kill_at_publication, little_memory
from trainorder.workflow.bundle import write_bundle
from workflow_tree import RESULTS, Tree, assert_one_line, lasting

pytestmark = pytest.mark.study

JOBS = [  # one job of every rule that needs no network
    *("corpus", "warm", "orders", "predictability", "clusters", "reference", "table-1"),
    *("residuals", "barycentre", "ladder"),
    *("probes-barycentre", "unit_curvature-barycentre-1", "curvature-barycentre"),
    *("reduced-barycentre", "manifest", "truth-0", "stores", "proxy"),
    *("estimate-nystrom@barycentre-0", "predict-reduced@barycentre", "ridge", "validate"),
    *("propose", "curriculum", "positions", "position_maps", "memorization", "explorer"),
    *("figures", "report_page", "bundle"),
]
# Jobs that resume from trainer states.
RESUMED = ("warm", "reference", "predictability", "truth-0", "barycentre")


@pytest.fixture(scope="module")
def driver():
    with Driver() as driver:
        yield driver


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def record_of(finished, tree, job):
    """Return the record of a job of the finished study, to run it in `tree`."""
    if job == "manifest":  # it names its shards relative to its own folder
        shutil.copytree(finished.results / "store", tree.results / "store")
        (tree.results / "store/manifest.json").unlink()
        return finished.job(job)
    if job == "bundle":
        validation = str(finished.results / "validation.json")
        return {
            "input": {"validation": validation},
            "output": {"bundle": str(RESULTS / "smoke.tar.gz")},
            "params": {},
        }
    record = finished.job_elsewhere(job)
    if job == "figures":
        record["output"] = {
            kind: [path for path in paths if Path(path).stem in DRAWN]
            for kind, paths in record["output"].items()
        }
    return record


def outputs(record):
    """Return the names of a job's outputs, except costs."""
    values = [value for name, value in record["output"].items() if name not in ("cost", "costs")]
    return [path for value in values for path in ([value] if isinstance(value, str) else value)]


@pytest.fixture(scope="module")
def undisturbed(finished, tmp_path_factory):
    """Return a function from an output to its bytes in the undisturbed study, without timings."""
    bundle = tmp_path_factory.mktemp("bundle") / "smoke.tar.gz"
    write_bundle(finished.results, bundle)

    def undisturbed(path):
        whole = bundle if path.endswith(".tar.gz") else finished.root / path
        return lasting(whole.name, whole.read_bytes(), None)

    return undisturbed


def assert_nothing_wrong(root, record, undisturbed):
    """Check that each output is either absent or complete."""
    for path in outputs(record):
        if (root / path).exists():
            content = lasting((root / path).name, (root / path).read_bytes(), None)
            assert content == undisturbed(path), f"{path}: differs from the undisturbed study"


def assert_completed(ended, root, record, undisturbed):
    """Check that a job succeeded, with the right outputs and without temporary files."""
    assert ended.code == 0, ended.error
    absent = [path for path in outputs(record) if not (root / path).exists()]
    assert not absent, f"missing outputs: {absent}"
    assert_nothing_wrong(root, record, undisturbed)
    left = list(root.rglob("*.partial"))
    assert not left, f"temporary files remain: {left}"


@pytest.fixture
def mounted(driver, tree):
    """Return the tree with its results on a separate file system, as this process sees it."""
    if not can_mount():
        pytest.skip("mounting a file system needs root or user namespaces")
    folder = tree.root / "results"
    folder.mkdir()
    driver.command("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder)
    yield Tree(driver.seen(tree.root))
    driver.command("umount", folder)


@pytest.fixture
def room(mounted):
    """Return a function that fills the file system except for a number of pages."""
    ballast = os.open(mounted.root / "results/ballast", os.O_CREAT | os.O_RDWR)

    def room(pages):
        os.ftruncate(ballast, 0)
        disk = os.statvfs(ballast)
        if (size := (disk.f_bavail - pages) * disk.f_bsize) > 0:
            os.posix_fallocate(ballast, 0, size)

    yield room
    os.close(ballast)


@pytest.mark.parametrize("job", JOBS)
def test_a_full_disk_at_any_write_raises_one_line_and_a_rerun_completes(
    finished, undisturbed, driver, tree, mounted, room, job
):
    record = record_of(finished, mounted, job)
    whole = [finished.root / path for path in outputs(record) if (finished.root / path).exists()]
    pages = sum(-(-path.stat().st_size // 4096) for path in whole)
    rooms = (max(3, pages // 3) * 2**n for n in count())  # trainer states need more than outputs
    for free in chain([0], rooms):
        room(free)
        ended = driver.run_job(tree, job, record)
        if ended.code == 0:
            break
        assert_one_line(ended, f"{RESULTS}", "cannot be written: No space left on device")
        assert_nothing_wrong(mounted.root, record, undisturbed)
        assert not list(mounted.results.rglob("*.partial")), "an incomplete file still takes space"
    assert free, "the disk was never full"
    assert_completed(ended, mounted.root, record, undisturbed)


@pytest.mark.parametrize("job", ["warm", "ridge", "validate", "figures", "bundle"])
def test_a_read_only_folder_raises_one_line_and_a_rerun_completes(
    finished, undisturbed, driver, tree, mounted, job
):
    record = record_of(finished, mounted, job)
    mounted.results.mkdir(exist_ok=True)
    driver.command("mount", "-o", "remount,ro", tree.root / "results")
    ended = driver.run_job(tree, job, record)
    assert_one_line(ended, f"{RESULTS}/logs", "cannot be written: Read-only file system")
    driver.command("mount", "-o", "remount,rw", tree.root / "results")
    assert_completed(driver.run_job(tree, job, record), mounted.root, record, undisturbed)


LARGE = {  # params with which torch or numpy runs out of memory
    "warm": {"problem__model__hidden_size": 16384},
    "table-1": {"problem__model__intermediate_size": 2**26},
    "truth-0": {"sketch_rows": 10**9},
    "ridge": {"sketch_rows": 10**9},
    "validate": {"validation__resamples": 10**9},
}


@pytest.mark.parametrize("job", LARGE)
def test_running_out_of_memory_raises_one_line_and_a_rerun_completes(
    finished, undisturbed, driver, tree, job
):
    record = record_of(finished, tree, job)
    large = {**record, "params": replaced(record["params"], **LARGE[job])}
    ended = driver.run_job(tree, job, large, little_memory, 2**28)
    assert_one_line(ended, "out of memory (", "request more memory (")
    assert_nothing_wrong(tree.root, record, undisturbed)
    assert_completed(driver.run_job(tree, job, record), tree.root, record, undisturbed)


@pytest.mark.parametrize("job", JOBS)
def test_a_job_killed_as_it_publishes_leaves_no_wrong_file_and_a_rerun_completes(
    finished, undisturbed, driver, tree, job
):
    record = record_of(finished, tree, job)
    for renames in range(1, 1 + min(2, len(record["output"]))):  # the first is the job record
        ended = driver.run_job(tree, job, record, kill_at_publication, renames)
        if job == "figures":  # the fault kills its child processes
            assert_one_line(ended, "figures: a process was killed")
        else:
            assert ended.code == -signal.SIGKILL, f"the job ended before it published: {ended}"
        assert_nothing_wrong(tree.root, record, undisturbed)
        assert list(tree.root.rglob("*.partial")), "the job was killed after it published"
    assert_completed(driver.run_job(tree, job, record), tree.root, record, undisturbed)


@pytest.mark.parametrize("job", [*RESUMED, "ridge"])
def test_a_job_that_runs_twice_at_once_gives_the_right_bytes_or_one_line(
    finished, undisturbed, driver, tree, job
):
    record = record_of(finished, tree, job)
    for ended in driver.run_jobs(tree, [(job, record)] * 2):
        if ended.code:
            assert_one_line(ended, f"{RESULTS}")
    assert_nothing_wrong(tree.root, record, undisturbed)
    assert_completed(driver.run_job(tree, job, record), tree.root, record, undisturbed)


@pytest.mark.parametrize("job", ["warm", "truth-0", "estimate-nystrom@barycentre-0"])
def test_a_clock_that_jumps_changes_neither_results_nor_costs(
    finished, undisturbed, driver, tree, job
):
    record = record_of(finished, tree, job)
    ended = driver.run_job(tree, job, record, jumping_clock)
    assert_completed(ended, tree.root, record, undisturbed)
    cost = json.loads((tree.root / record["output"]["cost"]).read_text())
    seconds = [cost["wall_seconds"], *cost["seconds"].values()]
    assert all(0 < each < 3600 for each in seconds), f"not measured with a monotonic clock: {cost}"


@pytest.mark.parametrize("job", RESUMED)
@pytest.mark.parametrize("length", [0, 600, -1])
def test_damaged_trainer_states_are_ignored(finished, undisturbed, driver, tree, job, length):
    record = record_of(finished, tree, job)
    states = 2 if job == "warm" else 4
    ended = driver.run_job(tree, job, record, kill_at_publication, states)
    assert ended.code == -signal.SIGKILL, ended.error
    kept = list((tree.results / ".work").rglob("*.h5"))
    assert kept, "the killed job left no trainer state"
    for path in kept:
        path.write_bytes(path.read_bytes()[:length])
    assert_completed(driver.run_job(tree, job, record), tree.root, record, undisturbed)


@pytest.mark.parametrize(("job", "files"), [("reference", 5), ("barycentre", 8)])
@pytest.mark.parametrize("which", [0, 1])
def test_missing_trainer_states_before_later_ones_are_computed_again(
    finished, undisturbed, driver, tree, job, files, which
):
    record = record_of(finished, tree, job)
    ended = driver.run_job(tree, job, record, kill_at_publication, files)
    assert ended.code == -signal.SIGKILL, ended.error
    kept = sorted((tree.results / ".work").rglob("0*.h5"))
    assert len(kept) > which + 1, f"no later state exists: {kept}"
    kept[which].unlink()
    assert_completed(driver.run_job(tree, job, record), tree.root, record, undisturbed)


SWAPS = {  # a file, the file that replaces it, a job that reads it, part of the message
    "another shard": ("truth/1.h5", "truth/0.h5", "validate", "is also in"),
    "of the memorization": ("truth/1.h5", "memorization/truth/0.h5", "ridge", "not in every shard"),
    "of the proxy": ("truth/1.h5", "proxy/1.h5", "validate", "belongs to another study"),
    "of another estimator": (
        "estimates/order0@reference/0.h5",
        "estimates/order0@barycentre/0.h5",
        "validate",
        "estimates/order0@reference: no estimate shard",
    ),
    "another shard of the table": (
        "store/reference/table-1.h5",
        "store/reference/table-0.h5",
        "manifest",
        "contains step 0",
    ),
    "of the other path": (
        "store/barycentre/path.h5",
        "store/reference/path.h5",
        "manifest",
        "contains the same content",
    ),
}


@pytest.mark.parametrize("case", SWAPS)
def test_a_swapped_file_of_the_same_study_stops_the_job_that_reads_it(
    finished, undisturbed, driver, tree, case
):
    file, other, job, message = SWAPS[case]
    shutil.copytree(finished.results, tree.results)
    record = finished.job(job)
    for path in outputs(record):
        (tree.root / path).unlink()
    shutil.copy(finished.results / other, tree.results / file)
    assert_one_line(driver.run_job(tree, job, record), message, "rerun rule")
    assert not any((tree.root / path).exists() for path in outputs(record))
    shutil.copy(finished.results / file, tree.results / file)
    assert_completed(driver.run_job(tree, job, record), tree.root, record, undisturbed)
