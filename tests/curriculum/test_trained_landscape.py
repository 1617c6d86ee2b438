"""Orders of a tiny study are estimated about recorded runs, and a killed search is resumed."""

from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

from problems import (
    HORIZON,
    language_problem,
    optimizer_config,
    torch_states,
    warm_state,
)
from trainorder.curriculum import trained_landscape
from trainorder.curriculum.constraints import Constraints
from trainorder.curriculum.objective import Objective
from trainorder.curriculum.step_search import EvaluatedOrder, Levels, search_by_steps
from trainorder.curriculum.trained_landscape import TrainedLandscape
from trainorder.evaluation.retraining import TrainingSetup
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.known_runs import KnownRuns
from trainorder.expansion.path import StoredPath, write_path
from trainorder.expansion.recorded_runs import RecordedRuns
from trainorder.storage.sealed_hdf5 import opened
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.optimizer import build_optimizer

UNITS, SIZES = 6, (1, 4)
REFERENCE = np.arange(UNITS)[:, None]
MOVED = np.array([[[0], [1], [3], [2], [4], [5]], [[5], [4], [3], [2], [1], [0]]])
OBJECTIVES = {"last weights": {"heldout": 1.0}, "averaged weights": {"averaged_heldout/a": 1.0}}


class KilledError(Exception):
    """Simulates a killed process."""


@contextmanager
def landscape(folder, objective="last weights", sequences=4, readouts=(3, UNITS)):
    """Yield the landscape of a tiny study, whose reference run is recorded."""
    problem, config = language_problem(UNITS, sequences), optimizer_config()
    warm = warm_state(problem, problem.model.parameters(), config)
    path, residuals = folder / "path.h5", folder / "residuals.h5"
    if not residuals.exists():
        states = torch_states(problem, warm, REFERENCE, config)
        anchors = np.arange(UNITS)
        write_path(path, "k", states.__getitem__, steps=UNITS, anchors=anchors)
        with opened(path, "k", "reference") as file:
            scale = warm.exp_avg_sq.sqrt().add(1e-3).reciprocal().sqrt()
            sizes = SIZES if sequences > 1 else (0,)
            known = KnownRuns.measure(problem, StoredPath(file), REFERENCE, sizes, scale, seed=3)
        known.save(residuals, "k")
    problem.meter.counts.clear()  # other jobs train and measure these
    with ExitStack() as files:
        about = StoredPath(files.enter_context(opened(path, "k", "reference")))
        yield TrainedLandscape(
            problem=problem,
            expansion=Expansion(problem, build_optimizer(config, HORIZON), about, None),
            setup=TrainingSetup(
                warm,
                config,
                HORIZON,
                readouts,
                lambda order, readout: Checkpoints(folder / "work", f"{order}-{readout}", 2),
                averaged_states=2,
            ),
            runs=RecordedRuns(files.enter_context(opened(residuals, "k", "residuals")), REFERENCE),
            objective=Objective(OBJECTIVES[objective]),
            sizes=SIZES,
            folder=folder / "runs",
            key="k",
            files=files,
            seed=0,
        )


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_estimate_of_a_recorded_order_is_its_retraining(objective, tmp_path):
    with landscape(tmp_path, objective) as study:
        true, [reference] = study.retrain(MOVED).values, study.retrain(REFERENCE[None]).values
        for schedule, value in zip(MOVED, true, strict=True):
            estimate = study.estimate(schedule, schedule[None], 1).values[0]
            error = abs(estimate - value) / abs(value - reference)
            assert error < 0.3, "its own run does not correct it"  # residuals have 8 bits


def test_an_estimate_with_whole_units_is_a_retraining(tmp_path):
    with landscape(tmp_path) as study:
        true = study.retrain(MOVED).values
        estimate = study.estimate(REFERENCE, MOVED, 4).values
        assert np.allclose(estimate, true, rtol=1e-5), "the estimate is no retraining"


def test_units_of_one_sequence_are_estimated_too(tmp_path):
    with landscape(tmp_path, sequences=1) as study:
        true = study.retrain(MOVED).values
        estimate = study.estimate(REFERENCE, MOVED, 1).values
        assert np.allclose(estimate, true, rtol=1e-5), "a step of one unit is not evaluated whole"


def test_costs_are_counted_in_retrainings(tmp_path):
    with landscape(tmp_path) as study:
        assert study.retrain(MOVED[1:]).retrainings == 1
        meter = study.problem.meter
        assert meter.counts["training"]["gradients"] == UNITS * 4
        # Steps 0 and 1 of the first order are those of the reference; both differ from there on.
        cost = study.estimate(REFERENCE, np.stack([REFERENCE, MOVED[0]]), 1).retrainings
        replayed = (UNITS + UNITS - 2) * 1
        losses = 2 * 2 * 2 * (2 * 3)  # orders, readouts, kinds of weights, held-out sequences
        assert cost == pytest.approx((replayed + losses / 3) / (UNITS * 4))


def searched(study):
    value = float(study.retrain(REFERENCE[None]).values[0])
    constraints = Constraints(REFERENCE, ["a"] * UNITS)
    starts = [EvaluatedOrder(REFERENCE, value, is_recorded=True)]
    levels = Levels({1: 0.4, 4: 1.2}, screened=4)
    return search_by_steps(study, starts, constraints, levels, budget=12.0, seed=4)


def test_a_search_resumes_to_the_same_result_after_a_kill_at_any_retraining(tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    with landscape(tmp_path / "whole", readouts=[UNITS]) as study:
        whole, meter = searched(study), study.problem.meter
        counts, orders, seconds = meter.counts, meter.orders, meter.seconds
    assert counts["evaluation"]["losses"], "the evaluations of retrained orders are not counted"
    assert len(whole.known) > 3, "the search retrains too few orders for this test"
    train, calls = trained_landscape.retrain_orders, []
    for killed_at in range(1, len(whole.known)):
        folder = tmp_path / f"killed-{killed_at}"
        folder.mkdir()

        def killing(*arguments, after=killed_at, **options):
            if len(calls) == after:
                raise KilledError
            calls.append(after)
            return train(*arguments, **options)

        monkeypatch.setattr(trained_landscape, "retrain_orders", killing)
        with landscape(folder, readouts=[UNITS]) as study, pytest.raises(KilledError):
            searched(study)
        trained_before = len(calls)
        calls.clear()
        monkeypatch.setattr(trained_landscape, "retrain_orders", counting(train, calls))
        with landscape(folder, readouts=[UNITS]) as study:
            resumed = searched(study)
            assert study.problem.meter.counts == counts, "earlier costs are lost"
            assert study.problem.meter.orders == orders, "earlier retrainings are not counted"
            assert study.problem.meter.seconds.keys() == seconds.keys()
        assert len(calls) == len(whole.known) - trained_before, "finished retrainings are repeated"
        calls.clear()
        assert resumed.rounds == whole.rounds
        pairs = zip(resumed.known, whole.known, strict=True)
        assert all(np.array_equal(a.schedule, b.schedule) for a, b in pairs), "another search"


def counting(train, calls):
    def counted(*arguments, **options):
        calls.append(None)
        return train(*arguments, **options)

    return counted
