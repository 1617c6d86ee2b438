"""Puts the test helpers and the drivers on the path of every test."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))  # the drivers, `bench`
