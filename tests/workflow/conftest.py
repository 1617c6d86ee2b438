"""The smoke study, made once for all tests of the workflow."""

import fcntl
import shutil

import pytest

from workflow_tree import SMOKE, Tree, copied, work_tree


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id):
    """Return the tree in which the smoke study was made on two cores. Tests must not change it.

    Processes that run tests side by side share it: the first makes it, the others wait.
    """
    top = tmp_path_factory.getbasetemp()
    top = top if worker_id == "master" else top.parent
    tree, made = Tree(top / "finished"), top / "finished.made"
    with open(top / "finished.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(tree.root, ignore_errors=True)
            work_tree(tree.root)
            status, output = tree.snakemake("--cores", "2", *SMOKE, timeout=1200)
            assert status == 0, output
            made.touch()
    return tree


@pytest.fixture
def study(finished, tmp_path):
    """Return a copy of the finished tree for a test to spoil."""
    return copied(finished, tmp_path / "tree")
