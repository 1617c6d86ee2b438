"""Helpers of the tests of the benchmark: import paths, a top folder and a synthetic study."""

import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("bench", "workflow")]

from low_rank_study import make_study  # noqa: E402


@pytest.fixture
def top(tmp_path, monkeypatch):
    """Work in an empty top folder that has the configuration and the presets."""
    shutil.copy(ROOT / "config.yaml", tmp_path)
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def synthetic_study(tmp_path_factory):
    """Return a validated synthetic study with the low-rank estimators. Tests must not change it."""
    return make_study(tmp_path_factory.mktemp("study"))
