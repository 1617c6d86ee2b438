"""Table and replays element by element take at most 6 vectors of parameters and a constant."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainorder.path import _HELD_NUMBERS
from trainorder.table import HELD_NUMBERS

BOUND = 6  # times the bytes of the parameters
CONSTANT = 1.5e9  # bytes; docs/trust.md states it
FLOAT = 4  # bytes
STEPS = ("table", "constant", "order0", "fut", "fut++")


@pytest.fixture(scope="module")
def peaks(tmp_path_factory):
    """Return the peak bytes of each step on two models, and how many parameters these have."""
    script = Path(__file__).with_name("peaks.py")
    # What is freed goes back at once, so that a peak is of what is held.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    run = [sys.executable, str(script), str(tmp_path_factory.mktemp("peaks"))]
    made = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout)


def test_both_models_are_too_large_to_be_held_in_memory_beside_a_replay(peaks):
    assert min(peaks["parameters"]) > _HELD_NUMBERS
    assert 3 * min(peaks["parameters"]) > HELD_NUMBERS, "the table would be held"


@pytest.mark.parametrize("step", STEPS)
def test_memory_grows_by_at_most_six_times_the_parameters(peaks, step):
    small, large = peaks["parameters"]
    growth = (peaks[step][1] - peaks[step][0]) / (FLOAT * (large - small))
    assert growth <= BOUND, f"{step}: {growth:.1f} vectors of parameters are held at once"
    for size, found in zip(peaks["parameters"], peaks[step], strict=True):
        assert found <= BOUND * FLOAT * size + CONSTANT, f"{step}: {found / 1e9:.2f} GB"
