"""Whatever is killed or damaged: nothing wrong is accepted, and a rerun gives the same bytes."""

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
from trainorder.config.sections import EstimatorConfig
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
STORED = [  # a file, the rule that makes it, and the jobs that read it
    ("corpus.h5", "corpus", ["warm", "table-0", "truth-0", "estimate-constant@reference-0"]),
    ("store/warm.h5", "warm", ["orders", "reference", "barycentre", "truth-0"]),
    (
        "store/reference/path.h5",
        "reference",
        ["table-0", "manifest", "estimate-constant@reference-0", "estimate-taylor1@reference-0"],
    ),
    ("store/reference/table-0.h5", "table", ["manifest", "estimate-order0@reference-0"]),
    ("store/reference/table-1.h5", "table", ["manifest", "estimate-fut@reference-0", "stores"]),
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
    ("truth/1.h5", "truth", ["ridge", "proxy", "validate"]),
    ("proxy/warm.h5", "proxy_warm", ["proxy_orders-0"]),
    ("proxy/1.h5", "proxy_orders", ["proxy"]),
    ("estimates/ridge/0.h5", "ridge", ["validate"]),
    ("estimates/taylor1@reference/1.h5", "estimate", ["validate"]),
]
READS = [(file, rule, job) for file, rule, jobs in STORED for job in jobs]


@pytest.fixture(scope="module")
def spoilt(finished, tmp_path_factory):
    """Return a tree of results whose files a test puts back after it damaged them."""
    tree = type(finished)(tmp_path_factory.mktemp("spoilt"))
    shutil.copytree(finished.results, tree.results)
    return tree


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(("file", "rule", "job"), READS, ids=lambda value: str(value))
def test_a_damaged_file_stops_the_step_that_reads_it(spoilt, tmp_path, file, rule, job, damage):
    path = spoilt.results / file
    shutil.copy2(path, tmp_path / "whole")
    before = states(spoilt.results)
    try:
        damage(path)
        ended = by_hand(spoilt, job.split("-")[0], spoilt.job(job))
    finally:
        shutil.copy2(tmp_path / "whole", path)
    assert_one_line(ended, str(RESULTS / file), f"rerun rule `{rule}`")
    after = states(spoilt.results)
    assert {p: s for p, s in after.items() if p != path} == {
        p: s for p, s in before.items() if p != path
    }, "a step that failed touched a file"


@pytest.mark.parametrize(
    ("file", "rule", "job"),
    [
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
    ],
)
@pytest.mark.parametrize("damage", [truncate, remove])
def test_a_damaged_record_stops_the_step_that_reads_it(spoilt, tmp_path, file, rule, job, damage):
    path = spoilt.results / file
    shutil.copy2(path, tmp_path / "whole")
    try:
        if damage is truncate:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        else:
            damage(path)
        ended = by_hand(spoilt, job.split("-")[0], spoilt.job(job))
    finally:
        shutil.copy2(tmp_path / "whole", path)
    assert_one_line(ended, str(RESULTS / file), f"rule `{rule}`")


def test_a_step_in_a_process_of_its_own_says_one_line_and_no_traceback(spoilt, tmp_path):
    path = spoilt.results / "store/reference/table-0.h5"
    shutil.copy2(path, tmp_path / "whole")
    try:
        flip_a_byte(path)
        done = subprocess.run(
            [sys.executable, ROOT / "scripts/manifest.py", RESULTS / "logs/manifest.json"],
            cwd=spoilt.root,
            env=spoilt.environment() | {"PYTHONPATH": str(ROOT / "lib")},
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


def test_a_flipped_byte_stops_snakemake_and_a_rerun_without_the_file_mends_it(study, finished):
    shard, manifest = RESULTS / "store/reference/table-0.h5", RESULTS / "store/manifest.json"
    flip_a_byte(study.root / shard)
    status, output = study.snakemake("--cores", "1", *SMOKE)
    assert status != 0, "a damaged shard was accepted"
    assert re.search("rule (manifest|probes)", output), "another step read the shard"
    lines = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert f"{shard}: " in lines[0]
    assert "rerun rule `table`" in lines[0]
    assert "Traceback" not in output
    (study.root / shard).unlink()
    again = ("--forcerun", "table")  # as the line says: what stands behind the shard was made
    status, output = study.snakemake(str(manifest), *again, "--cores", "1", *SMOKE)
    assert status == 0, output
    stored = [
        {name: content for name, content in contents(tree.results).items() if "store/" in str(name)}
        for tree in (study, finished)
    ]
    assert stored[0], "nothing of the store was compared"
    assert stored[0] == stored[1], "the shard made again differs"


@pytest.fixture(scope="module")
def slow(finished, tmp_path_factory):
    """Return a study by hand whose model is deep enough that its steps can be killed midway.

    Its corpus is that of the smoke study; its other files are made without a disturbance.
    """
    tree = type(finished)(tmp_path_factory.mktemp("slow"))
    tree.results.mkdir(parents=True)
    shutil.copy(finished.results / "corpus.h5", tree.results)
    (tree.results / "logs").mkdir()
    jobs = ("warm", "orders", "reference", "table-0", "table-1", "clusters", "barycentre")
    for job in (*jobs, "truth-0"):
        record = finished.job(job)
        record["params"]["problem"]["model"] |= {"layers": 12, "hidden_size": 64}
        if "checkpoint_every" in record["params"]:
            record["params"]["checkpoint_every"] = 1
        if job == "truth-0":
            record["params"]["shards"] = 8  # four orders or so
        ended = by_hand(tree, job.split("-")[0], record)
        assert ended.code == 0, ended.error
        (tree.results / "logs" / f"{job}.json").write_text((tree.root / "by-hand.json").read_text())
    return tree


def states_of_trainer(work):
    return list(work.rglob("[0-9]*.h5"))


def second_order_started(work):
    return any(path.parent.name == "1-0" for path in states_of_trainer(work))


KILLS = {  # job: its outputs, and when to kill it
    "warm": (["store/warm.h5"], lambda results: states_of_trainer(results / ".work")),
    "reference": (
        ["store/reference/path.h5"],
        lambda results: len(states_of_trainer(results / ".work")) > 1,
    ),
    "table-1": (
        ["store/reference/table-1.h5"],
        lambda results: list(results.glob("store/reference/.table-1.h5.*.partial")),
    ),
    "barycentre": (
        [f"store/barycentre/{name}.h5" for name in ("path", "table-0")],
        lambda results: len(list((results / ".work").glob("*/anchor-*.h5"))) > 1,
    ),
    "truth-0": (["truth/0.h5"], lambda results: second_order_started(results / ".work")),
}


@pytest.fixture
def killed(slow, tmp_path):
    """Return a function that kills a job of the slow study midway, its outputs not yet made."""
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
            assert not (tree.results / output).exists(), "it was published before it was whole"
        return tree, before

    return killed


@pytest.mark.parametrize("job", KILLS)
def test_a_killed_step_run_again_gives_the_bytes_of_an_undisturbed_one(slow, killed, job):
    tree, before = killed(job)
    midway = {path.name: state for path, state in states(tree.results / ".work").items()}
    ended = by_hand(tree, job.split("-")[0], tree.job(job))
    assert ended.code == 0, ended.error
    for output in KILLS[job][0]:
        mine, undisturbed = (root / output for root in (tree.results, slow.results))
        assert mine.read_bytes() == undisturbed.read_bytes(), f"{output}: resuming changed it"
    after = states(tree.results)
    cost = {tree.results / tree.job(job)["output"]["cost"].removeprefix(f"{RESULTS}/")}
    lost = [path for path in before.keys() - cost if after.get(path) != before[path]]
    assert not lost, f"other finished files were touched: {lost}"
    assert_resumed(job, ended.printed, midway, after, tree)


def assert_resumed(job, printed, midway, after, tree):
    """Check that the second run did not begin at the beginning, where the step can resume."""
    first = {}  # what each progress bar showed first
    for label, done in re.findall(r"([^\r\n:]+): +\d+%\|[^|]*\| (\d+)/\d+", printed):
        first.setdefault(label.strip(), int(done))
    if job == "warm":
        assert first["warm-up"] > 0, "the warm-up began anew"
    elif job == "reference":
        assert first["order reference"] > 0, "the reference began anew"
    elif job == "truth-0":
        assert first["order reference"] == 3, "an order that was trained was trained again"
        assert list(first.values())[1] > 0, "the order that was being trained began anew"
    elif job == "barycentre":
        cost = json.loads((tree.results / "costs/barycentre.json").read_text())
        anchors = len([name for name in midway if re.fullmatch(r"anchor-\d+\.h5", name)])
        units = tree.job(job)["params"]["window"]["units"]
        made = cost["counts"]["gradients"] / units
        assert made == 3 - anchors, "an anchor that was whole was made again"


FEW = [  # together: every stage
    *["order0@reference", "taylor1@barycentre", "ridge", "proxy"],
    *["nystrom@barycentre", "nystrom-tail1@reference", "reduced@barycentre"],
]


def test_snakemake_killed_and_resumed_on_one_core_gives_the_bytes_of_two(finished, tmp_path):
    tree = copied(finished, tmp_path / "tree", leave=("results", ".snakemake"))
    smoke = load_config(ROOT / "presets/smoke.yaml")["estimators"]
    few = [entry for entry in smoke if EstimatorConfig(**entry).name in FEW]
    (tree.root / "few.yaml").write_text(yaml.safe_dump({"estimators": few}))
    study = (*SMOKE, "few.yaml", "--cores", "1")

    def midway():
        orders = (tree.results / "orders.json").exists()
        return orders and any((tree.results / ".work").rglob("*.h5"))

    process = tree.started(*study)
    try:
        wait_until(midway, process, timeout=600)
        os.kill(process.pid, signal.SIGKILL)  # its script lives on
        process.wait()
        done = ["corpus.h5", "corpus.json", "tokenizer/tokenizer.json", "store/warm.h5"]
        before = {
            name: states(tree.results)[tree.results / name] for name in [*done, "orders.json"]
        }
        status, output = tree.snakemake(*study)
        assert status != 0, "two heads ran in one folder"
        assert "--unlock" in output
        status, output = tree.snakemake(*study, "--unlock")
        assert status == 0, output
        status, output = tree.snakemake(*study, timeout=1200)
        assert status == 0, output
    finally:
        stop(process)
    after = states(tree.results)
    for name, state in before.items():
        assert after[tree.results / name] == state, f"{name} was finished and was made again"
    assert_same_results(tree.results, finished.results, "cores or the kill changed", FEW)


RIDGE = RESULTS / "estimates/ridge/0.h5"  # what the tests below have made again


def test_a_second_snakemake_is_refused_while_one_runs_which_completes(study, finished):
    (study.root / RIDGE).unlink()
    first = study.started(str(RIDGE), "--cores", "1", *SMOKE)
    locks = study.root / ".snakemake/locks"

    def locked():  # a lock is a file before it says what it locks
        return any(str(RIDGE) in lock.read_text() for lock in locks.glob("*.output.lock"))

    try:
        wait_until(locked, first)
        os.kill(first.pid, signal.SIGSTOP)
        status, output = study.snakemake(str(RIDGE), "--cores", "1", *SMOKE)
        os.kill(first.pid, signal.SIGCONT)
        printed, _ = first.communicate(timeout=600)
    finally:
        stop(first)
    assert status != 0, "two heads ran in one folder"
    assert "--unlock" in output
    assert "Traceback" not in output
    assert first.returncode == 0, printed
    assert_same_results(study.results, finished.results, "a second head disturbed the first")


def test_two_snakemakes_without_locks_at_once_leave_nothing_that_one_rerun_does_not_complete(
    study, finished
):
    # Any Snakemake that ends in the folder takes the locks of all others with it.
    targets = (str(RIDGE), str(RESULTS / "validation.json"))
    (study.root / RIDGE).unlink()
    unlocked = (*targets, "--cores", "1", "--nolock", *SMOKE)
    logs = [study.root / "first.txt", study.root / "second.txt"]
    heads = []
    try:
        for log in logs:
            with open(log, "w") as output:
                heads.append(study.started(*unlocked, output=output))
            wait_until(lambda log=log: "Select jobs to execute" in log.read_text(), heads[-1])
            os.killpg(heads[-1].pid, signal.SIGSTOP)  # until both have found that it is missing
        assert not (study.root / RIDGE).exists(), "they are not at once"
        for head in heads:
            os.killpg(head.pid, signal.SIGCONT)
        for head in heads:
            head.wait(timeout=600)
    finally:
        for head in heads:
            stop(head)
    printed = "\n".join(log.read_text() for log in logs)
    assert "Traceback" not in printed, printed
    status, output = study.snakemake(*targets, "--cores", "2", *SMOKE)
    assert status == 0, output
    status, output = study.snakemake("--cores", "2", *SMOKE)
    assert status == 0, output
    assert_same_results(study.results, finished.results, "of two heads at once")


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None,
    reason="root writes everywhere, and there is no setpriv to take that from it",
)
def test_snakemake_refuses_a_folder_it_cannot_write_in_one_line(study, finished):
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
    assert_same_results(study.results, finished.results, "the read-only folder left a trace")


def test_files_dated_days_ahead_or_back_change_no_result(study, finished):
    for number, path in enumerate(sorted(study.results.rglob("*"))):
        dated = time.time() + (-1) ** number * (number % 5) * 86_400
        os.utime(path, (dated, dated))
    for _ in range(2):
        status, output = study.snakemake(str(RIDGE), "--cores", "2", *SMOKE)
        assert status == 0, output
    assert_same_results(study.results, finished.results, "the dates of files changed")


def refused(tree, *arguments):
    """Return the one line with which Snakemake ends before it plans anything."""
    status, output = tree.snakemake("--dry-run", *arguments)
    assert status == 1, output
    assert "Traceback" not in output
    [line] = [line for line in output.splitlines() if line.startswith("error: ")]
    return line


def test_results_of_other_seeds_copied_here_are_refused_and_made_anew_once_deleted(study):
    (study.root / "seeds.yaml").write_text("seeds: {init: 1, data: 1, order: 1}\n")
    (study.root / "other.yaml").write_text("study: other\n")
    reseeded = (*SMOKE, "seeds.yaml")
    plan = study.plan(*reseeded).jobs
    assert "warm" in plan, "a study that was made here is not made again with other seeds"
    other = study.root / "results/other"
    shutil.copytree(study.results, other)
    said = "of another configuration, and not made here; delete results/other"
    line = refused(study, *reseeded, "other.yaml")
    assert line.startswith("error: results/other/corpus.h5 and results/other/store/warm.h5: ")
    assert said in line
    shutil.rmtree(other)
    assert study.plan(*reseeded, "other.yaml").jobs == plan
    shutil.rmtree(study.root / ".snakemake")  # as where the results were copied to another clone
    assert "not made here; delete results/smoke" in refused(study, *reseeded)
    assert study.plan(*SMOKE).jobs == {}, "results copied with their configuration are refused"


NASTY = "$(touch owned) `touch owned` ; touch owned #'"


NARROW = {  # beside the sizes of the smoke study: few orders, on text of one's own
    "orders": {"calibration": 0, "random": 2, "block_sizes": [2], "custom": f"{NASTY}.json"},
    "estimators": [{"method": "constant", "path": "reference"}],
    "curriculum": None,
    "memorization": None,
    "shards": {"truth": 1},
}


def test_names_of_files_domains_and_orders_reach_no_shell(tmp_path):
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
    made = [str(RESULTS / name) for name in ("orders.json", "truth/0.h5")]
    status, output = tree.snakemake(*made, "--cores", "1", *SMOKE, f"{NASTY}.yaml")
    assert status == 0, output
    truth = read_arrays(tree.root / made[1], None, "truth", ["order", "metric"])
    assert NASTY in truth["order"], "the order was not trained"
    assert {f"heldout/{domain}" for domain in domains} <= set(truth["metric"])
    assert not list(tmp_path.rglob("owned")), "a name was run as a command"
