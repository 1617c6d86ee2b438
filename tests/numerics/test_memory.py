"""No step takes more than 6 vectors of parameters and a constant, however many vectors it has.

The constant is what imports and blocks take; `memory_gb`, 0 here, and the activations of a pass
through the model, of few tokens here, come on top.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from peaks import UNITS
from trainorder.expansion.gradient_table import HELD_NUMBERS
from trainorder.expansion.path import _HELD_NUMBERS
from trainorder.numerics.memory_budget import VECTORS_HELD

BOUND = VECTORS_HELD  # times the bytes of the parameters; fewer than there are units
CONSTANT = 1.5e9  # bytes; docs/trust.md states it
FLOAT = 4  # bytes
TRAINING = ("train", "existing", "table", "barycentre")
CURVATURE = ("probes", "curvature", "reduced")
ESTIMATORS = ("constant", "order0", "fut", "fut++", "taylor1", "taylor2", "nystrom", "subsample")
STEPS = (*TRAINING, *CURVATURE, *ESTIMATORS, "recency")


@pytest.fixture(scope="module")
def peaks(tmp_path_factory):
    """Return the peak resident bytes of each step on two models, and the numbers of parameters."""
    script = Path(__file__).parents[1] / "peaks.py"
    # What is freed goes back at once, so that a peak is of what is held.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    run = [sys.executable, str(script), str(tmp_path_factory.mktemp("peaks"))]
    made = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout)


def test_every_step_that_is_made_is_judged(peaks):
    assert {*peaks} == {"parameters", *STEPS}


def test_both_models_are_too_large_to_be_held_in_memory_beside_a_replay(peaks):
    assert min(peaks["parameters"]) > _HELD_NUMBERS
    assert UNITS * min(peaks["parameters"]) > HELD_NUMBERS, "the table would be held"


@pytest.mark.parametrize("step", STEPS)
def test_memory_grows_by_at_most_six_times_the_parameters(peaks, step):
    small, large = peaks["parameters"]
    growth = (peaks[step][1] - peaks[step][0]) / (FLOAT * (large - small))
    assert growth <= BOUND, f"{step}: {growth:.1f} vectors of parameters are held at once"
    for size, found in zip(peaks["parameters"], peaks[step], strict=True):
        assert found <= BOUND * FLOAT * size + CONSTANT, f"{step}: {found / 1e9:.2f} GB"
