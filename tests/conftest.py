"""Adds the test helpers and the package `bench` to the import path of every test.

Two test files run at a time on two cores, so each computes on one thread. Jobs of a study set
their own number of threads.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy and torch are imported

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))  # contains `bench`


def pytest_collection_modifyitems(items):
    """Put files that run studies first, so that no long file is left for one process at the end."""
    files = {item.path for item in items if item.get_closest_marker("study")}
    items.sort(key=lambda item: item.path not in files)
