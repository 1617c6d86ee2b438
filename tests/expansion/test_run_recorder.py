"""A recorded training is a known run: its residuals are those that measuring it would give."""

import numpy as np
import pytest
import torch

from problems import (
    HORIZON,
    KINDS,
    language_problem,
    optimizer_config,
    relative_error,
    torch_states,
    warm_state,
)
from trainorder.errors import UserError
from trainorder.evaluation.retraining import TrainingSetup, retrain_orders
from trainorder.expansion.known_runs import KnownRuns, measure_residuals, visits
from trainorder.expansion.path import StoredPath, write_path
from trainorder.expansion.run_recorder import Recording, RunRecorder
from trainorder.expansion.subsamples import Subsamples, drawn_sequences
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order import Order
from trainorder.storage.sealed_hdf5 import creating, opened
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.optimizer import MOMENTS
from trainorder.training.trainer import train

UNITS = 6
SCHEDULES = {
    "one unit a step": [[5], [2], [0], [4], [1], [3]],
    "two units a step": [[5, 2], [0, 4], [1, 3]],
    "two epochs": [[5, 2], [0, 4], [1, 3], [3, 5], [0, 1], [2, 4]],
    "units left out": [[5], [3], [5], [1]],
}
OPTIMIZERS = {**KINDS, "adamw, clipped": {"gradient_clip": 0.05}}


class KilledError(Exception):
    """Simulates a killed process."""


class Case:
    """A problem with a warm state and the subsamples of its units."""

    def __init__(self, sequences=4, sizes=(1, 3), pairs=False, dtype=torch.float64, **changes):
        self.problem = language_problem(UNITS, sequences, pairs=pairs, dtype=dtype)
        self.config = optimizer_config(**changes)
        theta = self.problem.model.parameters()
        self.warm = warm_state(self.problem, theta, self.config)
        scale = 0.5 + torch.rand(self.problem.size, generator=torch.manual_seed(0), dtype=dtype)
        drawn = drawn_sequences(UNITS, sequences, seed=3)
        self.subsamples = Subsamples(drawn, list(sizes), scale, 64)

    def recorded(self, schedule, folder):
        """Train on a schedule; return the training, the residuals by size and the points."""
        schedule = np.array(schedule)
        shape = (schedule.size, self.problem.size)
        residuals = {b: torch.full(shape, torch.nan).double() for b in self.subsamples.sizes}
        points = np.full((schedule.size, 64), np.nan)
        recording = Recording(
            self.problem, schedule, self.subsamples, points, residuals, first_visit=0
        )
        trained = train(
            self.problem.model,
            self.warm,
            recording.batch,
            steps=len(schedule),
            config=self.config,
            horizon=HORIZON,
            checkpoints=Checkpoints(folder, "key", 100),
            label="test",
            micro_batches=recording.micro_batches(0),
        )
        return trained, residuals, points

    def states(self, schedule):
        return torch_states(self.problem, self.warm, np.array(schedule), self.config)

    def setup(self, folder, readouts, recorder):
        def checkpoints(order, readout):
            return Checkpoints(folder / "work", f"{order}-{readout}", 1)

        args = (self.warm, self.config, HORIZON, readouts, checkpoints, None, recorder)
        return TrainingSetup(*args)

    def retrain(self, orders, folder, readouts, recorder=None):
        sketch, setup = SparseJL(self.problem.size, 64), self.setup(folder, readouts, recorder)
        return retrain_orders(self.problem, orders, setup, followed=[], sketch=sketch, units={})

    def record(self, file, orders, known, folder, readouts=(3,), shard=0):
        """Retrain `orders` and record those of `known` in a file."""
        shape = orders[0].schedule.shape
        with creating(file, "k", shard=shard) as content:
            recorder = RunRecorder(content, self.problem, self.subsamples, known, shape)
            return self.retrain(orders, folder, readouts, recorder)


@pytest.mark.parametrize("changes", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())
def test_training_by_parts_is_that_of_torch(schedule, changes, tmp_path):
    case = Case(weight_decay=0.1, **changes)
    trained, _, _ = case.recorded(schedule, tmp_path)
    states = case.states(schedule)
    for name in MOMENTS:
        error = relative_error(getattr(trained.state, name), getattr(states[-1], name))
        assert error < 1e-9, f"{name} differs from torch by {error:.1e}"
    theta, units = states[-2].parameters, schedule[-1]
    loss = np.mean([float(case.problem.loss(theta, unit).detach()) for unit in units])
    assert trained.losses[-1] == pytest.approx(loss), "the loss is not the mean of the parts"


@pytest.mark.parametrize("changes", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())
@pytest.mark.parametrize("sizes", [(2,), (1, 3), (1, 2, 4)])
def test_recorded_residuals_are_those_that_measuring_gives(sizes, schedule, changes, tmp_path):
    check_residuals(Case(sizes=sizes, **changes), schedule, tmp_path)


def test_residuals_of_units_of_one_sequence_are_their_gradients(tmp_path):
    case = Case(sequences=1, sizes=(0,))
    check_residuals(case, SCHEDULES["two units a step"], tmp_path)


def test_residuals_of_pairs_are_those_that_measuring_gives(tmp_path):
    check_residuals(Case(pairs=True), SCHEDULES["two units a step"], tmp_path)


def check_residuals(case, schedule, folder):
    """Compare recorded residuals with those measured at the states of torch's training."""
    _, residuals, points = case.recorded(schedule, folder)
    states, schedule = case.states(schedule), np.array(schedule)
    for visit, (t, unit) in enumerate(np.ndindex(schedule.shape)):
        theta, number = states[t].parameters, int(schedule[t, unit])
        expected = {b: torch.empty_like(theta) for b in residuals}
        measure_residuals(case.problem, theta, number, case.subsamples.drawn[number], expected)
        for size, row in expected.items():
            if size == case.problem.sequences:
                assert residuals[size][visit].abs().max() < 1e-12, "a whole unit has a residual"
                continue
            error = relative_error(residuals[size][visit], row)
            assert error < 1e-7, f"step {t}, size {size}: error {error:.1e}"
        point = case.subsamples.point(theta).numpy()
        assert np.allclose(points[visit], point, rtol=1e-9), f"the point of step {t} is another"


ORDERS = [
    Order(f"calibration-{i}", "random", "calibration", np.roll(np.arange(UNITS), i)[:, None])
    for i in range(4)
]


def test_other_orders_of_the_job_are_trained_to_the_same_bits(tmp_path):
    case = Case()
    plain = case.retrain(ORDERS, tmp_path / "plain", [2, 6])
    file = tmp_path / "known_runs-0.h5"
    outcome = case.record(file, ORDERS, {1: ORDERS[1]}, tmp_path / "recorded", [2, 6])
    for name in ("value", "along", "train_loss", "sketch"):
        same = [np.array_equal(*rows) for rows in zip(plain[name], outcome[name], strict=True)]
        assert same[0], f"{name}: recording changes an order that is not recorded"
        assert same[2], f"{name}: recording changes the order after the recorded one"
        assert np.allclose(plain[name], outcome[name], rtol=1e-6), name
    assert case.problem.meter.counts["training"] == {"gradients": 2 * 4 * UNITS * 4}


@pytest.mark.parametrize("killed_at", [1, 3, 8])
def test_a_killed_job_records_every_step_when_it_runs_again(killed_at, tmp_path, monkeypatch):
    known, readouts = {1: ORDERS[0], 2: ORDERS[1]}, [2, 6]
    files = [tmp_path / name for name in ("whole.h5", "resumed.h5")]
    whole = Case().record(files[0], ORDERS, known, tmp_path / "whole", readouts)
    case, batch, calls = Case(), Recording.batch, []

    def killing(recording, step):
        calls.append(step)
        if len(calls) == killed_at:
            raise KilledError
        return batch(recording, step)

    monkeypatch.setattr(Recording, "batch", killing)
    with pytest.raises(KilledError):
        case.record(files[1], ORDERS, known, tmp_path / "resumed", readouts)
    assert not files[1].exists(), "a killed job published its file"
    resumed = case.record(files[1], ORDERS, known, tmp_path / "resumed", readouts)
    assert files[0].read_bytes() == files[1].read_bytes(), "the recorded runs differ"
    for name in ("value", "along", "train_loss", "sketch"):
        assert np.array_equal(whole[name], resumed[name]), f"{name} differs"


def reference_file(case, folder):
    """Write the residuals of a reference run on the units in turn, and return its file."""
    schedule = np.arange(UNITS)[:, None]
    states = case.states(schedule)
    write_path(folder / "path.h5", "k", states.__getitem__, steps=UNITS, anchors=np.arange(UNITS))
    with opened(folder / "path.h5", "k", "reference") as file:
        known = KnownRuns.measure(
            case.problem, StoredPath(file), schedule, [1, 3], case.subsamples.scale, seed=3
        )
    known.save(folder / "residuals.h5", "k")
    return folder / "residuals.h5", known


def recorded_files(case, folder, shards):
    """Record the orders 1 to 3 in the shards of a study, and return the files."""
    known = {number: order for number, order in enumerate(ORDERS) if number}
    files = []
    for shard in range(shards):
        orders = ORDERS[shard::shards]
        mine = {n: order for n, order in known.items() if order in orders}
        files.append(folder / f"known_runs-{shard}.h5")
        case.record(files[-1], orders, mine, folder / f"{shards}-{shard}", [6], shard)
    return files


def test_the_runs_of_all_shards_are_read_as_those_of_one(tmp_path):
    case = Case()
    reference, measured = reference_file(case, tmp_path)
    with opened(reference, "k", "residuals") as file:
        case.subsamples = Subsamples.of(file)
    assert list(case.subsamples.sizes) == [1, 3]
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    read = [
        KnownRuns.load(
            reference, "k", 3, further=recorded_files(case, tmp_path / name, shards), runs=2
        )
        for name, shards in (("one", 1), ("many", 3))
    ]
    for name in ("steps", "units", "runs", "schedules"):
        assert np.array_equal(*(getattr(known, name) for known in read)), name
    assert torch.equal(read[0].points, read[1].points)
    assert torch.equal(*(known.residuals[3].tensor for known in read))
    [known, _] = read
    assert known.runs.tolist() == [0] * UNITS + [1] * UNITS + [2] * UNITS, "runs of other numbers"
    assert np.array_equal(known.schedules, np.stack([ORDERS[i].schedule for i in (1, 2)]))
    check_recorded(case, known, measured)


def check_recorded(case, known, measured):
    """Compare all visits with measured ones, up to the error of 8-bit codes."""
    for run, order in enumerate(ORDERS[:3]):
        states = case.states(order.schedule if run else np.arange(UNITS)[:, None])
        here = np.flatnonzero(known.runs == run)
        steps, units = visits(order.schedule if run else np.arange(UNITS)[:, None], UNITS)
        assert known.steps[here].tolist() == steps.tolist()
        assert known.units[here].tolist() == units.tolist()
        for visit, t, unit in zip(here, steps.tolist(), units.tolist(), strict=True):
            theta = states[t].parameters
            row = {3: torch.empty_like(theta)}
            measure_residuals(case.problem, theta, unit, case.subsamples.drawn[unit], row)
            limit = 0.6 * float(row[3].abs().max()) / 127
            assert (known.residuals[3].tensor[visit] - row[3]).abs().max() < limit
            assert torch.allclose(known.points[visit], case.subsamples.point(theta))


def test_a_run_that_no_file_holds_raises(tmp_path):
    case = Case()
    reference, _ = reference_file(case, tmp_path)
    case.record(tmp_path / "known_runs-0.h5", ORDERS, {1: ORDERS[1]}, tmp_path, [6])
    further = [tmp_path / "known_runs-0.h5"]
    with pytest.raises(UserError, match="no file holds the known run 2; rerun rule `truth`"):
        KnownRuns.load(reference, "k", 1, further=further, runs=2)
