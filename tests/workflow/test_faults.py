"""Killed jobs and damaged files: no wrong file is accepted, and a rerun gives the same bytes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml

from trainorder.config.loading import load_config
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.storage.sealed_hdf5 import read_arrays
from workflow_tree import (
    RESULTS,
    ROOT,
    SMOKE,
    assert_one_line,
    assert_same_results,
    by_hand,
    contents,
    copied,
    of_another_study,
    states,
    stop,
    wait_until,
    work_tree,
)

pytestmark = pytest.mark.study


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1000])


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def remove(path):
    path.unlink()


DAMAGES = [truncate, flip_a_byte, remove, of_another_study]
RECORDED = "estimate-corrected1-runs1@reference-0"  # reads a recorded run
STORED = [  # a file, the rule that writes it, and the jobs that read it
    ("corpus.h5", "corpus", ["warm", "table-0", "truth-0", "estimate-constant@reference-0"]),
    ("store/warm.h5", "warm", ["orders", "reference", "barycentre", "truth-0"]),
    (
        "store/reference/path.h5",
        "reference",
        [
            *("predictability", "table-0", "manifest"),
            *("estimate-constant@reference-0", "estimate-taylor1@reference-0"),
        ],
    ),
    ("store/reference/table-0.h5", "table", ["manifest", "estimate-order0@reference-0"]),
    ("store/reference/table-1.h5", "table", ["manifest", "estimate-fut@reference-0", "stores"]),
    (
        "store/reference/residuals.h5",
        "residuals",
        ["manifest", "truth-0", "ladder", "estimate-corrected@reference-0"],
    ),
    *(
        (f"store/reference/known_runs-{shard}.h5", "truth", ["manifest", RECORDED])
        for shard in range(2)  # the first has no run
    ),
    ("store/barycentre/path.h5", "barycentre", ["manifest", "estimate-taylor1@barycentre-0"]),
    ("store/barycentre/table-0.h5", "barycentre", ["manifest", "estimate-order0@barycentre-0"]),
    ("store/clusters.h5", "clusters", ["barycentre", "probes-barycentre"]),
    (
        "store/barycentre/probed.h5",
        "probes",
        ["unit_curvature-barycentre-0", "curvature-barycentre"],
    ),
    ("store/barycentre/units/0.h5", "unit_curvature", ["curvature-barycentre"]),
    (
        "store/barycentre/curvature.h5",
        "curvature",
        ["manifest", "reduced-barycentre", "estimate-nystrom@barycentre-0"],
    ),
    ("store/barycentre/reduced.h5", "reduced", ["manifest", "predict-reduced@barycentre"]),
    ("store/barycentre/effects.h5", "effects", ["manifest", "predict-adjoint@barycentre"]),
    ("truth/1.h5", "truth", ["ladder", "ridge", "simfluence", "proxy", "validate"]),
    ("proxy/warm.h5", "proxy_warm", ["proxy_orders-0"]),
    ("proxy/1.h5", "proxy_orders", ["proxy"]),
    ("estimates/corrected@reference/calibration.h5", "ladder", ["validate"]),
    ("estimates/ridge/0.h5", "ridge", ["validate"]),
    ("estimates/taylor1@reference/1.h5", "estimate", ["validate"]),
]
READS = [(file, rule, job) for file, rule, jobs in STORED for job in jobs]


@pytest.fixture(scope="module")
def damageable(finished, tmp_path_factory):
    """Return a tree of results. A test restores each file that it damages."""
    tree = type(finished)(tmp_path_factory.mktemp("damageable"))
    shutil.copytree(finished.results, tree.results)
    return tree


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(("file", "rule", "job"), READS, ids=lambda value: str(value))
def test_a_damaged_file_stops_the_job_that_reads_it(damageable, tmp_path, file, rule, job, damage):
    path = damageable.results / file
    shutil.copy2(path, tmp_path / "whole")
    before = states(damageable.results)
    try:
        damage(path)
        ended = by_hand(damageable, job.split("-")[0], damageable.job(job))
    finally:
        shutil.copy2(tmp_path / "whole", path)
    assert_one_line(ended, str(RESULTS / file), f"rerun rule `{rule}`")
    after = states(damageable.results)
    assert {p: s for p, s in after.items() if p != path} == {
        p: s for p, s in before.items() if p != path
    }, "the failed job changed a file"


@pytest.mark.parametrize(
    ("file", "rule", "job"),
    [
        ("orders.json", "orders", "predictability"),
        ("orders.json", "orders", "reference"),
        ("orders.json", "orders", "truth-0"),
        ("orders.json", "orders", "estimate-order0@reference-0"),
        ("orders.json", "orders", "ridge"),
        ("orders.json", "orders", "validate"),
        ("orders.json", "orders", "stores"),
        ("store/manifest.json", "manifest", "estimate-order0@reference-0"),
        ("store/manifest.json", "manifest", "validate"),
        ("store/manifest.json", "manifest", "stores"),
        ("costs/truth/0.json", "truth", "validate"),
        ("corpus.json", "corpus", "validate"),
        ("predictability.json", "predictability", "validate"),
    ],
)
@pytest.mark.parametrize("damage", [truncate, remove])
def test_a_damaged_json_file_stops_the_job_that_reads_it(
    damageable, tmp_path, file, rule, job, damage
):
    path = damageable.results / file
    shutil.copy2(path, tmp_path / "whole")
    try:
        if damage is truncate:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        else:
            damage(path)
        ended = by_hand(damageable, job.split("-")[0], damageable.job(job))
    finally:
        shutil.copy2(tmp_path / "whole", path)
    assert_one_line(ended, str(RESULTS / file), f"rule `{rule}`")


def test_a_script_that_fails_prints_one_line_and_no_traceback(damageable, tmp_path):
    path = damageable.results / "store/reference/table-0.h5"
    shutil.copy2(path, tmp_path / "whole")
    try:
        flip_a_byte(path)
        done = subprocess.run(
            [sys.executable, ROOT / "scripts/manifest.py", RESULTS / "logs/manifest.json"],
            cwd=damageable.root,
            env=damageable.environment() | {"PYTHONPATH": str(ROOT / "lib")},
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        shutil.copy2(tmp_path / "whole", path)
    assert done.returncode == 1
    assert len(re.findall("^error: ", done.stderr, re.M)) == 1
    assert "table-0.h5" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_flipped_byte_stops_snakemake_and_a_rerun_without_the_file_repairs_it(study, finished):
    shard, manifest = RESULTS / "store/reference/table-0.h5", RESULTS / "store/manifest.json"
    flip_a_byte(study.root / shard)
    status, output = study.snakemake("--cores", "1", *SMOKE)
    assert status != 0, "a damaged shard was accepted"
    readers = "manifest|probes|effects|reduced"
    assert re.search(f"rule ({readers})", output), "another rule read the shard"
    lines = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert f"{shard}: " in lines[0]
    assert "rerun rule `table`" in lines[0]
    assert "Traceback" not in output
    (study.root / shard).unlink()
    again = ("--forcerun", "table")  # as the error line says: later files exist already
    status, output = study.snakemake(str(manifest), *again, "--cores", "1", *SMOKE)
    assert status == 0, output
    stored = [
        {name: content for name, content in contents(tree.results).items() if "store/" in str(name)}
        for tree in (study, finished)
    ]
    assert stored[0], "no file of the store was compared"
    assert stored[0] == stored[1], "the repaired store differs"


@pytest.fixture(scope="module")
def slow(finished, tmp_path_factory):
    """Return a study whose model is deep enough to kill its jobs midway.

    It uses the corpus of the smoke study. Its jobs ran here one by one, undisturbed.
    """
    tree = type(finished)(tmp_path_factory.mktemp("slow"))
    tree.results.mkdir(parents=True)
    shutil.copy(finished.results / "corpus.h5", tree.results)
    (tree.results / "logs").mkdir()
    jobs = ("warm", "orders", "reference", "residuals", "table-0", "table-1", "clusters")
    for job in (*jobs, "barycentre", "truth-0"):
        record = finished.job(job)
        record["params"]["problem"]["model"] |= {"layers": 12, "hidden_size": 64}
        if "checkpoint_every" in record["params"]:
            record["params"]["checkpoint_every"] = 1
        if job == "truth-0":
            record["params"]["shards"] = 8  # about four orders
        ended = by_hand(tree, job.split("-")[0], record)
        assert ended.code == 0, ended.error
        (tree.results / "logs" / f"{job}.json").write_text((tree.root / "by-hand.json").read_text())
    return tree


def trainer_states(work):
    return list(work.rglob("[0-9]*.h5"))


def second_order_started(work):
    return any(path.parent.name == "1-0" for path in trainer_states(work))


KILLS = {  # a job, its outputs, and the condition to kill it
    "warm": (["store/warm.h5"], lambda results: trainer_states(results / ".work")),
    "reference": (
        ["store/reference/path.h5"],
        lambda results: len(trainer_states(results / ".work")) > 1,
    ),
    "table-1": (
        ["store/reference/table-1.h5"],
        lambda results: list(results.glob("store/reference/.table-1.h5.*.partial")),
    ),
    "barycentre": (
        [f"store/barycentre/{name}.h5" for name in ("path", "table-0")],
        lambda results: len(list((results / ".work").glob("*/anchor-*.h5"))) > 1,
    ),
    "truth-0": (
        ["truth/0.h5", "store/reference/known_runs-0.h5"],
        lambda results: second_order_started(results / ".work"),
    ),
}


@pytest.fixture
def killed(slow, tmp_path):
    """Return a function that kills a job of the slow study before it publishes its outputs."""
    tree = type(slow)(tmp_path / "killed")

    def killed(job):
        outputs, midway = KILLS[job]
        shutil.copytree(slow.results, tree.results)
        for output in outputs:
            (tree.results / output).unlink()
        before = states(tree.results)
        process = subprocess.Popen(
            [
                sys.executable,
                ROOT / "scripts" / f"{job.split('-')[0]}.py",
                RESULTS / "logs" / f"{job}.json",
            ],
            cwd=tree.root,
            env=slow.environment() | {"PYTHONPATH": str(ROOT / "lib")},
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_until(lambda: midway(tree.results), process)
        finally:
            stop(process)
        for output in outputs:
            assert not (tree.results / output).exists(), (
                f"{output}: published before it was complete"
            )
        return tree, before

    return killed


@pytest.mark.parametrize("job", KILLS)
def test_a_killed_job_that_runs_again_gives_the_bytes_of_an_undisturbed_one(slow, killed, job):
    tree, before = killed(job)
    ended = by_hand(tree, job.split("-")[0], tree.job(job))
    assert ended.code == 0, ended.error
    for output in KILLS[job][0]:
        resumed, undisturbed = (root / output for root in (tree.results, slow.results))
        assert resumed.read_bytes() == undisturbed.read_bytes(), f"{output}: resuming changed it"
    after = states(tree.results)
    cost = {tree.results / tree.job(job)["output"]["cost"].removeprefix(f"{RESULTS}/")}
    lost = [path for path in before.keys() - cost if after.get(path) != before[path]]
    assert not lost, f"other finished files changed: {lost}"
    assert_resumed(job, ended.printed)
    file = tree.job(job)["output"]["cost"]
    costs = [json.loads((root / file).read_text()) for root in (tree.root, slow.root)]
    assert costs[0]["counts"] == costs[1]["counts"], "an interruption changes the counted cost"


def assert_resumed(job, printed):
    """Check that the second start resumed the work of the first one."""
    first = {}  # the first count that each progress bar printed
    for label, done in re.findall(r"([^\r\n:]+): +\d+%\|[^|]*\| (\d+)/\d+", printed):
        first.setdefault(label.strip(), int(done))
    if job == "warm":
        assert first["warm-up"] > 0, "the warm-up restarted at its first step"
    elif job == "reference":
        assert first["order reference"] > 0, "the reference restarted at its first step"
    elif job == "truth-0":
        assert "order reference" not in first, "a finished order was trained again"
        assert next(iter(first.values())) > 0, "the interrupted order restarted at its first step"


FEW = [  # together they need every stage
    *["order0@reference", "taylor1@barycentre", "ridge", "proxy"],
    *["nystrom@barycentre", "nystrom-tail1@reference", "corrected@reference"],
    "corrected1-runs1@reference",
    *["reduced@barycentre", "adjoint@reference", "adjoint@barycentre"],
]


ENDS = [  # together they need every file of the study but the figures, which are not compared
    str(RESULTS / name)
    for name in (
        *("validation.json", "stores.json", "curriculum.json", "memorization.json"),
        "explorer.html",
    )
]


def test_snakemake_killed_and_resumed_on_one_core_gives_the_bytes_of_two(finished, tmp_path):
    tree = copied(finished, tmp_path / "tree", ignore=("results", ".snakemake"))
    smoke = load_config(ROOT / "presets/smoke.yaml")["estimators"]
    few = [entry for entry in smoke if EstimatorConfig(**entry).name in FEW]
    (tree.root / "few.yaml").write_text(yaml.safe_dump({"estimators": few}))
    study = (*ENDS, *SMOKE, "few.yaml", "--cores", "1")

    def midway():
        orders = (tree.results / "orders.json").exists()
        return orders and any((tree.results / ".work").rglob("*.h5"))

    process = tree.started(*study, forks=None)
    try:
        wait_until(midway, process, timeout=600)
        os.kill(process.pid, signal.SIGKILL)  # the script of its job goes on
        process.wait()
        done = ["corpus.h5", "corpus.json", "tokenizer/tokenizer.json", "store/warm.h5"]
        before = {
            name: states(tree.results)[tree.results / name] for name in [*done, "orders.json"]
        }
        status, output = tree.snakemake(*study, forks=None)
        assert status != 0, "two Snakemakes ran in one folder"
        assert "--unlock" in output
        status, output = tree.snakemake(*study, "--unlock")
        assert status == 0, output
        status, output = tree.snakemake(*study, timeout=1200)
        assert status == 0, output
    finally:
        stop(process)
    after = states(tree.results)
    for name, state in before.items():
        assert after[tree.results / name] == state, f"{name}: a finished file was written again"
    assert_same_results(tree.results, finished.results, "cores or the kill changed", FEW)


RIDGE = RESULTS / "estimates/ridge/0.h5"  # the file that the tests below compute again


def test_a_second_snakemake_fails_while_the_first_one_completes(study, finished):
    (study.root / RIDGE).unlink()
    first = study.started(str(RIDGE), "--cores", "1", *SMOKE)
    locks = study.root / ".snakemake/locks"

    def locked():  # the lock file exists before it has content
        return any(str(RIDGE) in lock.read_text() for lock in locks.glob("*.output.lock"))

    try:
        wait_until(locked, first)
        os.kill(first.pid, signal.SIGSTOP)
        status, output = study.snakemake(str(RIDGE), "--cores", "1", *SMOKE)
        os.kill(first.pid, signal.SIGCONT)
        printed, _ = first.communicate(timeout=600)
    finally:
        stop(first)
    assert status != 0, "two Snakemakes ran in one folder"
    assert "--unlock" in output
    assert "Traceback" not in output
    assert first.returncode == 0, printed
    assert_same_results(study.results, finished.results, "the second Snakemake disturbed the first")


def test_a_rerun_completes_what_two_snakemakes_without_locks_left(study, finished):
    # A Snakemake that ends in the folder removes the locks of all others.
    targets = (str(RIDGE), str(RESULTS / "validation.json"))
    (study.root / RIDGE).unlink()
    unlocked = (*targets, "--cores", "1", "--nolock", *SMOKE)
    logs = [study.root / "first.txt", study.root / "second.txt"]
    processes = []
    try:
        for log in logs:
            with open(log, "w") as output:
                processes.append(study.started(*unlocked, output=output))
            wait_until(lambda log=log: "Select jobs to execute" in log.read_text(), processes[-1])
            os.killpg(processes[-1].pid, signal.SIGSTOP)  # until both have planned the missing file
        assert not (study.root / RIDGE).exists(), "they did not run at once"
        for process in processes:
            os.killpg(process.pid, signal.SIGCONT)
        for process in processes:
            process.wait(timeout=600)
    finally:
        for process in processes:
            stop(process)
    printed = "\n".join(log.read_text() for log in logs)
    assert "Traceback" not in printed, printed
    status, output = study.snakemake(*targets, "--cores", "2", *SMOKE)
    assert status == 0, output
    status, output = study.snakemake(*ENDS, "--cores", "2", *SMOKE)
    assert status == 0, output
    assert_same_results(study.results, finished.results, "two Snakemakes at once changed")


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None,
    reason="root can write to every folder; setpriv, which prevents this, is not installed",
)
def test_a_read_only_folder_stops_snakemake_with_one_line(study, finished):
    plain = ("setpriv", "--inh-caps=-all", "--bounding-set=-all") if os.geteuid() == 0 else ()
    (study.root / RIDGE).unlink()
    (study.results / "costs/estimate/ridge/0.json").unlink()
    folders = [study.results, *study.results.rglob("*/")]
    try:
        for folder in folders:
            folder.chmod(0o555)
        status, output = study.snakemake(str(RIDGE), "--cores", "1", *SMOKE, before=plain)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert status != 0
    assert "Traceback" not in output
    lines = [line for line in output.splitlines() if line.startswith("error: ")]
    assert lines == [f"error: {RESULTS}: cannot be written; make it writable"]
    status, output = study.snakemake(str(RIDGE), "--cores", "1", *SMOKE, before=plain)
    assert status == 0, output
    assert_same_results(study.results, finished.results, "the read-only folder changed")


def test_files_with_wrong_dates_change_no_result(study, finished):
    for number, path in enumerate(sorted(study.results.rglob("*"))):
        dated = time.time() + (-1) ** number * (number % 5) * 86_400
        os.utime(path, (dated, dated))
    for _ in range(2):
        status, output = study.snakemake(str(RIDGE), "--cores", "2", *SMOKE)
        assert status == 0, output
    assert_same_results(study.results, finished.results, "the dates of files changed")


def snakemake_error(tree, *arguments):
    """Return the only error line of a Snakemake that ends before it plans a job."""
    status, output = tree.snakemake("--dry-run", *arguments)
    assert status == 1, output
    assert "Traceback" not in output
    [line] = [line for line in output.splitlines() if line.startswith("error: ")]
    return line


def test_copied_results_of_other_seeds_stop_snakemake_until_they_are_deleted(study):
    (study.root / "seeds.yaml").write_text("seeds: {init: 1, data: 1, order: 1}\n")
    (study.root / "other.yaml").write_text("study: other\n")
    reseeded = (*SMOKE, "seeds.yaml")
    plan = study.plan(*reseeded).jobs
    assert "warm" in plan, "other seeds do not rerun a study that ran here"
    other = study.root / "results/other"
    shutil.copytree(study.results, other)
    message = "computed elsewhere with another configuration; delete results/other"
    line = snakemake_error(study, *reseeded, "other.yaml")
    assert line.startswith("error: results/other/corpus.h5 and results/other/store/warm.h5: ")
    assert message in line
    shutil.rmtree(other)
    assert study.plan(*reseeded, "other.yaml").jobs == plan
    shutil.rmtree(study.root / ".snakemake")  # as after copying the results to another clone
    assert "another configuration; delete results/smoke" in snakemake_error(study, *reseeded)
    assert study.plan(*SMOKE).jobs == {}, "results copied with their configuration are not accepted"


NASTY = "$(touch owned) `touch owned` ; touch owned #'"


NARROW = {  # changes to the smoke study: few orders, the text of the user
    "orders": {"calibration": 0, "random": 2, "block_sizes": [2], "custom": f"{NASTY}.json"},
    "estimators": [{"method": "constant", "path": "reference"}],
    "curriculum": None,
    "memorization": None,
    "shards": {"truth": 1},
}


def test_names_of_files_domains_and_orders_are_not_run_by_a_shell(tmp_path):
    tree = work_tree(tmp_path)
    rng, domains = np.random.default_rng(3), [f"{NASTY} {name}" for name in ("sea", "hill")]
    with open(tree.root / f"{NASTY}.jsonl", "w") as file:
        for domain in domains * 60:
            text = " ".join(f"tide {number}" for number in rng.integers(10**6, size=40))
            file.write(json.dumps({"text": text, "domain": domain}) + "\n")
    order = {"name": NASTY, "schedule": [5, 4, 3, 2, 1, 0]}
    (tree.root / f"{NASTY}.json").write_text(json.dumps(order))
    corpus = {"source": "files", "files": [f"{NASTY}.jsonl"], "domains": None}
    (tree.root / f"{NASTY}.yaml").write_text(yaml.safe_dump({**NARROW, "corpus": corpus}))
    targets = [str(RESULTS / name) for name in ("orders.json", "truth/0.h5")]
    status, output = tree.snakemake(*targets, "--cores", "1", *SMOKE, f"{NASTY}.yaml")
    assert status == 0, output
    truth = read_arrays(tree.root / targets[1], None, "truth", ["order", "metric"])
    assert NASTY in truth["order"], "the order was not trained"
    assert {f"heldout/{domain}" for domain in domains} <= set(truth["metric"])
    assert not list(tmp_path.rglob("owned")), "a name was run as a command"
