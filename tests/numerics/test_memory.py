"""The peak memory of every job is at most 6 parameter vectors plus a constant.

The constant covers imports and blocks. A job also needs `memory_gb`, which is 0 here, and the
activations of a pass through the model, which are small here because there are few tokens.
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

pytestmark = pytest.mark.slow

BOUND = VECTORS_HELD  # in parameter vectors; less than the number of units
CONSTANT = 1.5e9  # bytes; stated in docs/trust.md
FLOAT = 4  # bytes
TRAINING = ("train", "existing", "table", "residuals", "record", "barycentre")
CURVATURE = ("probes", "curvature", "reduced", "effects")
ESTIMATORS = ("constant", "order0", "fut", "fut++", "taylor1", "taylor2", "nystrom", "subsample")
JOBS = (*TRAINING, *CURVATURE, *ESTIMATORS, "corrected", "recency")


@pytest.fixture(scope="module")
def peaks(tmp_path_factory):
    """Return the peak resident bytes of each job on two models, and the numbers of parameters."""
    script = Path(__file__).parents[1] / "peaks.py"
    # malloc returns freed blocks to the system at once, so that the peak counts only live memory.
    # Large pages make this faster.
    malloc = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20), "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    environment = {**os.environ, **malloc}
    command = [sys.executable, str(script), str(tmp_path_factory.mktemp("peaks"))]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_every_measured_job_is_checked(peaks):
    assert {*peaks} == {"parameters", *JOBS}


def test_both_models_are_too_large_for_the_caches_of_path_and_table(peaks):
    assert min(peaks["parameters"]) > _HELD_NUMBERS
    assert UNITS * min(peaks["parameters"]) > HELD_NUMBERS, "the table would be kept in memory"


@pytest.mark.parametrize("job", JOBS)
def test_memory_grows_by_at_most_six_times_the_parameters(peaks, job):
    small, large = peaks["parameters"]
    growth = (peaks[job][1] - peaks[job][0]) / (FLOAT * (large - small))
    assert growth <= BOUND, f"{job}: {growth:.1f} parameter vectors are in memory at once"
    for size, peak in zip(peaks["parameters"], peaks[job], strict=True):
        assert peak <= BOUND * FLOAT * size + CONSTANT, f"{job}: {peak / 1e9:.2f} GB"
