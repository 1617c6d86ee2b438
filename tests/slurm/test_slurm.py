"""A study on a real SLURM cluster gives the same bytes as a local study, whatever is killed.

The tests compare all result files as the workflow tests do: HDF5 files, orders, truth and summaries
byte for byte; estimates and validation without the columns and fields that hold seconds. They skip
costs.json, costs/, logs/ and figures/, which contain timings.
"""

import os
import re
import signal

import pytest
import torch

from cluster import Cluster, missing
from workflow_tree import (
    RESULTS,
    SMOKE,
    Tree,
    assert_same_results,
    copied,
    states,
    stop,
    wait_until,
    work_tree,
)

pytestmark = pytest.mark.slurm

FEW = (*SMOKE, "tests/slurm/few.yaml")  # a short study for tests that kill something
POLLING = ("--slurm-init-seconds-before-status-checks", "2")
PROFILE = ("--workflow-profile", "profiles/slurm", *POLLING)
ON_CLUSTER = (*PROFILE, *FEW)


class ClusterTree(Tree):
    """A copy of the work tree in which Snakemake uses the cluster."""

    def __init__(self, root, cluster):
        super().__init__(root)
        self.cluster = cluster

    def environment(self):
        return self.cluster.environment(super().environment())


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Return a tree with a local study of a few estimators."""
    return made_locally(work_tree(tmp_path_factory.mktemp("local")), FEW)


def made_locally(tree, study):
    """Run a study locally in a tree; return the tree."""
    status, output = tree.snakemake("--cores", "2", *study, timeout=1200)
    assert status == 0, output
    return tree


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Return a running cluster; check afterwards that it left no process behind."""
    assert missing() is None, missing()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end the tests as Ctrl-C does
    with Cluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster
    assert not cluster.processes(), "processes of the cluster were left behind"


@pytest.fixture
def tree(cluster, local, tmp_path):
    """Return a tree without results, in which Snakemake uses the cluster."""
    copied(local, tmp_path / "tree", ignore=("results", ".snakemake"))
    return ClusterTree(tmp_path / "tree", cluster)


@pytest.fixture
def jobs(cluster):
    """Return a function that lists the jobs of this test, or only those of one rule."""
    earlier = {job.id for job in cluster.jobs()}

    def jobs(rule=None):
        return [job for job in cluster.jobs() if job.id not in earlier and rule in (None, job.rule)]

    yield jobs
    cluster.cancel("--user=root")


def test_the_study_on_a_cluster_gives_the_bytes_of_one_without(tree, jobs, tmp_path):
    planned = tree.plan(*SMOKE).jobs
    status, output = tree.snakemake(*PROFILE, *SMOKE, timeout=1800)
    assert status == 0, output
    sent = [job.rule for job in jobs()]
    assert {rule: sent.count(rule) for rule in sent} == planned, (
        "some rule did not become one cluster job each"
    )
    assert {job.state for job in jobs()} == {"COMPLETED"}
    (tmp_path / "local").mkdir()
    local = made_locally(work_tree(tmp_path / "local"), SMOKE)
    assert_same_results(tree.results, local.results, "the cluster changed")


def test_a_job_of_a_study_on_a_gpu_asks_for_one(tree, cluster, jobs):
    status, output = tree.snakemake(
        str(RESULTS / "corpus.h5"), str(RESULTS / "store/warm.h5"), *ON_CLUSTER, "--retries", "0",
        "--config", "device=cuda",
    )  # fmt: skip
    asked = {job.rule: cluster.asks_for_gpu(job) for job in jobs()}
    assert asked == {"corpus": False, "warm": True}
    if not torch.cuda.is_available():  # the node has a GPU in name only
        assert status != 0, output
        log_text = (tree.results / "logs/warm.log").read_text()
        assert "error: config: device: cuda: torch" in log_text


def test_a_job_killed_for_memory_is_sent_again_with_more(tree, local, cluster, jobs):
    truth = RESULTS / "truth/0.h5"
    status, output = tree.snakemake(
        str(truth), *ON_CLUSTER, "--set-resources", "truth:mem_mb=3000 if attempt > 1 else 150"
    )
    assert status == 0, output
    attempts = jobs("truth")
    ended = [(job.memory_mb, job.state) for job in attempts]
    assert ended == [(150, "FAILED"), (3000, "COMPLETED")]
    assert [cluster.killed_for_memory(job) for job in attempts] == [True, False]
    assert (tree.root / truth).read_bytes() == (local.root / truth).read_bytes()


def test_a_cancelled_job_and_a_killed_head_leave_no_trace(tree, local, cluster, jobs, tmp_path):
    # Enable the commented lines of the profile, as a user would.
    tree.edit(
        "profiles/slurm/config.yaml",
        "# set-resources:\n#   truth: {slurm_partition: large}",
        "set-resources:\n  truth: {slurm_partition: gpu}",
    )
    truth, begun = tree.results / "truth/0.h5", tree.results / "logs/truth-0.json"
    log = tmp_path / "head.log"
    with open(log, "w") as output:
        head = tree.started(*ON_CLUSTER, output=output)
    try:
        wait_until(begun.exists, head, timeout=600)
        [first] = [job for job in jobs("truth") if job.comment.endswith("_0")]
        cluster.cancel(str(first.id))
        begun.unlink()
        wait_until(begun.exists, head)  # the rule started again in a new cluster job
        attempts = [job for job in jobs("truth") if job.comment == first.comment]
        os.kill(head.pid, signal.SIGKILL)
        [run] = re.findall("SLURM run ID: (.*)", log.read_text())
        cluster.cancel(f"--name={run}")  # as the docs advise: cluster jobs outlive Snakemake
    finally:
        stop(head)
    assert not truth.exists(), "the job ended before it could be cancelled; make it longer"
    assert [job.state for job in attempts] == ["CANCELLED", "RUNNING"]
    assert attempts[1].memory_mb == 2 * attempts[0].memory_mb, (
        "the second attempt did not request more memory"
    )
    assert attempts[0].partition == "gpu", "the job did not use the partition of its rule"
    status, output = tree.snakemake(*ON_CLUSTER)
    assert status != 0, "two Snakemake processes ran in one folder"
    assert "--unlock" in output
    finished = [tree.results / name for name in ("corpus.h5", "store/warm.h5", "orders.json")]
    before = states(tree.results)
    status, output = tree.snakemake(*ON_CLUSTER, "--unlock")
    assert status == 0, output
    status, output = tree.snakemake(*ON_CLUSTER, timeout=1200)
    assert status == 0, output
    after = states(tree.results)
    made_again = [path.name for path in finished if after[path] != before[path]]
    assert not made_again, "finished files were written again"
    assert_same_results(tree.results, local.results, "a kill on the cluster changed")


def test_a_node_lost_in_mid_shard_leaves_no_trace(tree, local, cluster, jobs, tmp_path):
    truth, begun = tree.results / "truth/0.h5", tree.results / "logs/truth-0.json"
    log = tmp_path / "head.log"
    with open(log, "w") as output:
        head = tree.started(*ON_CLUSTER, output=output)
    try:
        wait_until(begun.exists, head, timeout=1200)
        cluster.lose_node()
        [lost] = [job for job in jobs("truth") if job.comment.endswith("_0")]
        assert not truth.exists(), "the job ended before its node was lost; make it longer"
        begun.unlink()
        cluster.restore_node()
        wait_until(begun.exists, head, timeout=1200)  # the rule started again
        head.wait(timeout=1800)
    finally:
        stop(head)
    assert head.returncode == 0, log.read_text()
    again = [job for job in jobs("truth") if job.comment == lost.comment]
    assert again[-1].state == "COMPLETED"
    assert_same_results(tree.results, local.results, "the loss of a node changed")
