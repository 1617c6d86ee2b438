"""Known runs and sizes of residuals follow from the estimators, the window and the ladder."""

import pytest

from configs import config
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.known_runs import (
    known_run_count,
    residual_sizes,
    smallest_corrected_size,
)
from trainorder.config.sections.ladder import LadderConfig
from trainorder.config.sections.window import WindowConfig

WINDOW, LADDER = WindowConfig(**config()["window"]), LadderConfig(**config()["ladder"])
OTHERS = [EstimatorConfig("order0", "reference"), EstimatorConfig("ridge")]


def corrected(**keys):
    return EstimatorConfig("corrected", "reference", **keys)


@pytest.mark.parametrize("estimators", [[], OTHERS])
def test_other_estimators_need_no_known_runs_and_no_residuals(estimators):
    assert known_run_count(estimators) == 0
    assert residual_sizes(estimators, WINDOW, LADDER) == []
    assert smallest_corrected_size(estimators, WINDOW, LADDER) is None


@pytest.mark.parametrize("sizes", [[8, 2], [None, 3], [None]])
def test_residuals_are_read_for_every_size_that_is_tried(sizes):
    estimators = [*OTHERS, *(corrected(size=size, runs=4) for size in sizes)]
    given = {size for size in sizes if size}
    tried = given | ({*LADDER.sizes(WINDOW)} if None in sizes else set())
    assert residual_sizes(estimators, WINDOW, LADDER) == sorted(tried)
    assert smallest_corrected_size(estimators, WINDOW, LADDER) == min(tried)


def test_the_estimator_with_the_most_known_runs_decides_how_many_are_recorded():
    assert known_run_count([corrected(size=2, runs=3), corrected(size=4, runs=7), *OTHERS]) == 7
