"""Puts the test helpers and the drivers on the path of every test."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))  # the drivers, `bench`


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks for groups
def pytest_collection_modifyitems(items):
    """Keep together, where tests run side by side, those of a file, and all on the smoke study.

    That is made once, and what a file's tests share, too.
    """
    for item in items:
        group = "finished" if "finished" in item.fixturenames else item.nodeid.split("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))
