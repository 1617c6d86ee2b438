"""Adds the test helpers and the package `bench` to the import path of every test."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))  # contains `bench`
