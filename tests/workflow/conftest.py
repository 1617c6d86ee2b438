"""The smoke study, run once for all tests of the workflow."""

import fcntl
import shutil

import pytest

from workflow_tree import SMOKE, Tree, copied, work_tree


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id):
    """Return a tree with a finished smoke study, run on two cores. Tests must not change it.

    Test processes share it: the first one runs the study, the others wait.
    """
    top = tmp_path_factory.getbasetemp()
    top = top if worker_id == "master" else top.parent
    tree, marker = Tree(top / "finished"), top / "finished.marker"
    with open(top / "finished.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not marker.exists():
            shutil.rmtree(tree.root, ignore_errors=True)
            work_tree(tree.root)
            status, output = tree.snakemake("--cores", "2", *SMOKE, timeout=1200)
            assert status == 0, output
            marker.touch()
    return tree


@pytest.fixture
def study(finished, tmp_path):
    """Return a copy of the finished tree that a test may change."""
    return copied(finished, tmp_path / "tree")
