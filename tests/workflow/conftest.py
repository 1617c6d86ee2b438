"""The smoke study, made once for all tests of the workflow."""

import pytest

from workflow_tree import SMOKE, copied, work_tree


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Return the tree in which the smoke study was made on two cores. Tests must not change it."""

    tree = work_tree(tmp_path_factory.mktemp("finished"))
    status, output = tree.snakemake("--cores", "2", *SMOKE, timeout=1200)
    assert status == 0, output
    return tree


@pytest.fixture
def study(finished, tmp_path):
    """Return a copy of the finished tree for a test to spoil."""
    return copied(finished, tmp_path / "tree")
