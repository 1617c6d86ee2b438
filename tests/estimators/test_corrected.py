"""`corrected` is exact for whole units and along the known run, and unbiased over the draw."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
import torch

from problems import (
    HORIZON,
    KINDS,
    Polynomial,
    ignore,
    language_problem,
    optimizer_config,
    relative_error,
    torch_adamw,
    torch_states,
    warm_state,
)
from trainorder.estimators.corrected import Corrected
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.known_runs import KnownRuns
from trainorder.expansion.path import StoredPath, write_path
from trainorder.expansion.subsamples import drawn_sequences
from trainorder.numerics.derivatives import gradient
from trainorder.numerics.rows import Rows
from trainorder.storage.sealed_hdf5 import opened
from trainorder.training.averaged_states import AveragedStates
from trainorder.training.optimizer import build_optimizer

UNITS = 6
OPTIMIZERS = {**KINDS, "adamw, clipped": {"gradient_clip": 0.5}}
RUNS = {  # schedules of known runs, and other orders of the same shape
    "one unit a step": (
        [[0], [1], [2], [3], [4], [5]],
        [[[5], [2], [0], [4], [1], [3]], [[3]] * 6],
    ),
    "two units a step": (
        [[0, 1], [2, 3], [4, 5]],
        [[[5, 2], [0, 4], [1, 3]], [[2, 2], [0, 4], [5, 3]]],
    ),
    "two epochs": (
        [[0, 1], [2, 3], [4, 5], [1, 0], [5, 3], [2, 4]],
        [[[5, 2], [0, 4], [1, 3], [3, 5], [0, 1], [2, 4]]],
    ),
    "units that the run left out": ([[0], [1], [2], [0]], [[[5], [3], [4], [1]]]),
}


class Case:
    """A problem, the states of a known run and an expansion about them."""

    def __init__(self, problem, schedule, config, folder):
        start = problem.start if isinstance(problem, Polynomial) else problem.model.parameters()
        self.problem, self.config = problem, config
        self.schedule = np.array(schedule)
        self.warm = warm_state(problem, start, config)
        self.states = torch_states(problem, self.warm, self.schedule, config)
        steps = len(self.schedule)
        write_path(
            folder / "path.h5", "k", self.states.__getitem__, steps=steps, anchors=np.arange(steps)
        )
        self.file = folder / "path.h5"

    def measured(self, path, size, seed=0):
        """Return the known run with the residuals of one size."""
        stored = size if self.problem.sequences > 1 else 0
        scale = torch.ones(self.problem.size, dtype=torch.float64)
        return KnownRuns.measure(self.problem, path, self.schedule, [stored], scale, seed)

    def further(self, schedules, size, seed, folder):
        """Return the visits of runs on further schedules, as known runs of their own."""
        for number, schedule in enumerate(schedules):
            (folder / f"run-{number}").mkdir(exist_ok=True)
            other = Case(self.problem, schedule, self.config, folder / f"run-{number}")
            with opened(other.file, "k", "reference") as file:
                yield other.measured(StoredPath(file), size, seed)

    def known(self, path, size, seed, runs, folder):
        """Return the known runs: that of the path, and those on the schedules `runs`."""
        each = [self.measured(path, size, seed), *self.further(runs, size, seed, folder)]
        # Recorded runs have no visits of the units that they left out.
        used = [
            len(known.units) if i == 0 else np.size(runs[i - 1]) for i, known in enumerate(each)
        ]
        cut = list(zip(each, used, strict=True))
        residuals = [
            known.residuals[stored].tensor[:n] for known, n in cut for stored in known.residuals
        ]
        return replace(
            each[0],
            **{
                name: np.concatenate([getattr(known, name)[:n] for known, n in cut])
                for name in ("steps", "units")
            },
            runs=np.concatenate([np.full(n, i) for i, (_, n) in enumerate(cut)]),
            points=torch.cat([known.points[:n] for known, n in cut]),
            residuals={0: Rows(torch.cat(residuals))},
            schedules=np.array(runs).reshape(len(runs), *self.schedule.shape),
        )

    def replay(self, schedules, size, seed=0, tail=0, runs=()):
        """Return the final parameters of `schedules`, (O, P)."""
        with opened(self.file, "k", "reference") as file:
            path = StoredPath(file)
            expansion = Expansion(
                self.problem, build_optimizer(self.config, HORIZON), path, table=None
            )
            known = self.known(path, size, seed, runs, self.file.parent)
            estimator = Corrected(expansion, known, size, seed)
            estimator.tail = tail
            return estimator.replay(torch.tensor(schedules), ignore)

    def averaged(self, schedules, size, count):
        """Return the mean of the last `count` replayed states of `schedules`, (O, P)."""
        steps = len(self.schedule)
        averages = AveragedStates([steps], count)
        with opened(self.file, "k", "reference") as file:
            path = StoredPath(file)
            optimizer = build_optimizer(self.config, HORIZON)
            known = self.known(path, size, 0, (), self.file.parent)
            expansion = Expansion(self.problem, optimizer, path, table=None)
            Corrected(expansion, known, size, 0).replay(torch.tensor(schedules), averages.add)
        return averages.take(steps)

    def averaged_truth(self, schedule, count):
        """Return the mean of the last `count` states of torch's own training, (P,)."""
        states = torch_states(self.problem, self.warm, schedule, self.config)[-count:]
        return sum(state.parameters for state in states) / count

    def truth(self, schedule):
        """Return the final parameters of torch's own training, (P,)."""
        return torch_states(self.problem, self.warm, schedule, self.config)[-1].parameters


def polynomial(sequences=3, degree=3):
    return Polynomial(UNITS, degree=degree, sequences=sequences)


@pytest.mark.parametrize("changes", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
@pytest.mark.parametrize(("run", "orders"), RUNS.values(), ids=RUNS.keys())
def test_with_whole_units_it_equals_retraining(run, orders, changes, tmp_path):
    case = Case(polynomial(), run, optimizer_config(learning_rate=0.005, **changes), tmp_path)
    for row, order in zip(case.replay(orders, size=3), orders, strict=True):
        error = relative_error(row, case.truth(order))
        assert error < 1e-9, f"error {error:.1e} against torch's retraining"


def test_with_whole_units_the_averaged_weights_equal_those_of_retraining(tmp_path):
    run, orders = RUNS["one unit a step"]
    case = Case(polynomial(), run, optimizer_config(learning_rate=0.005), tmp_path)
    for row, order in zip(case.averaged(orders, size=3, count=4), orders, strict=True):
        assert relative_error(row, case.averaged_truth(order, 4)) < 1e-9
        assert relative_error(row, case.truth(order)) > 1e-6, "the mean is the last state"


@pytest.mark.parametrize("sequences", [1, 3])
def test_the_averaged_weights_of_the_known_run_are_exact(sequences, tmp_path):
    run, _ = RUNS["one unit a step"]
    case = Case(polynomial(sequences), run, optimizer_config(learning_rate=0.005), tmp_path)
    [mean] = case.averaged([run], size=1, count=4)
    assert relative_error(mean, case.averaged_truth(run, 4)) < 1e-8


def test_orders_with_a_common_prefix_are_differentiated_once_and_equal_their_own_replays(tmp_path):
    run, _ = RUNS["one unit a step"]
    known = [[[5], [4], [3], [2], [1], [0]]]
    orders = [*known, [[5], [4], [3], [2], [0], [1]], [[5], [4], [3], [2], [0], [1]]]
    case = Case(polynomial(), run, optimizer_config(learning_rate=0.005), tmp_path)
    together = case.replay(orders, size=2, runs=known)
    for row, order in zip(together, orders, strict=True):
        assert torch.equal(row, case.replay([order], size=2, runs=known)[0])
    # The known run leaves out its own visits, so it shares nothing with the other two.
    assert not torch.equal(together[0], together[1])
    assert torch.equal(together[1], together[2])


def test_with_whole_units_of_a_language_model_it_equals_retraining(tmp_path):
    run, orders = RUNS["two units a step"]
    case = Case(language_problem(UNITS, 3), run, optimizer_config(), tmp_path)
    for row, order in zip(case.replay(orders, size=3), orders, strict=True):
        assert relative_error(row, case.truth(order)) < 1e-9


@pytest.mark.parametrize("sequences", [1, 3])
@pytest.mark.parametrize("changes", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
@pytest.mark.parametrize("run", [run for run, _ in RUNS.values()], ids=RUNS.keys())
def test_the_order_of_the_known_run_is_exact(run, changes, sequences, tmp_path):
    config = optimizer_config(learning_rate=0.005, weight_decay=0.1, **changes)
    case = Case(polynomial(sequences), run, config, tmp_path)
    [end] = case.replay([run], size=1)
    error = relative_error(end, case.states[-1].parameters)
    assert error < 1e-8, f"error {error:.1e}: the residuals are not those of the run's own states"


@pytest.mark.parametrize("sequences", [1, 3])
def test_another_order_is_not_exact_with_a_part_of_the_sequences(sequences, tmp_path):
    run, [order, _] = RUNS["two units a step"]
    case = Case(polynomial(sequences), run, optimizer_config(learning_rate=0.02), tmp_path)
    error = relative_error(case.replay([order], size=1)[0], case.truth(order))
    assert error > 1e-6, "the subsamples were whole units, so the other tests prove nothing"


def test_a_tail_as_long_as_the_window_equals_retraining(tmp_path):
    run, orders = RUNS["two epochs"]
    case = Case(polynomial(), run, optimizer_config(learning_rate=0.02), tmp_path)
    for row, order in zip(case.replay(orders, size=1, tail=len(run)), orders, strict=True):
        assert relative_error(row, case.truth(order)) < 1e-9


def test_units_of_one_sequence_are_exact_if_all_units_of_a_step_are_evaluated(tmp_path):
    run, orders = RUNS["two units a step"]
    case = Case(polynomial(sequences=1), run, optimizer_config(learning_rate=0.02), tmp_path)
    for row, order in zip(case.replay(orders, size=2), orders, strict=True):
        assert relative_error(row, case.truth(order)) < 1e-9


def test_on_a_quadratic_it_is_unbiased_over_all_draws(tmp_path, monkeypatch):
    # With SGD on quadratic losses, and each unit at one step, the end of the run is multilinear in
    # the independent errors of the units' curvatures. Their means are zero, so that of the end is.
    problem = Polynomial(3, degree=2, sequences=3)
    config = optimizer_config(learning_rate=0.02, **KINDS["sgd with momentum"])
    case = Case(problem, [[0], [1], [2]], config, tmp_path)
    order = [[2], [0], [1]]
    ends = []
    draws = [draw for draw in permutations(range(3)) if draw[1] < draw[2]]  # by the first one
    for drawn in product(draws, repeat=3):
        monkeypatch.setattr(
            "trainorder.expansion.known_runs.drawn_sequences",
            lambda *_, drawn=drawn: np.array(drawn),
        )
        ends.append(case.replay([order], size=1)[0])
    ends, truth = torch.stack(ends), case.truth(order)
    assert len(ends) == 27
    assert float(ends.std(0).max()) > 1e-4, "the draw does not matter"
    error = relative_error(ends.mean(0), truth)
    assert error < 1e-12, f"the mean over all draws is off by {error:.1e}"


def test_the_error_falls_as_the_size_grows(tmp_path):
    problem = Polynomial(UNITS, size=12, sequences=8, noise=0.6)
    case = Case(problem, [[u] for u in range(UNITS)], optimizer_config(), tmp_path)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(UNITS)[:, None].tolist() for _ in range(8)]
    truth = torch.stack([case.truth(order) for order in orders])
    errors = [
        np.mean([float((case.replay(orders, n, seed) - truth).norm()) for seed in range(4)])
        for n in (1, 2, 4, 8)
    ]
    assert errors[0] > errors[1] > errors[2] > errors[3], errors


def test_orders_are_replayed_together_as_alone(tmp_path):
    run, orders = RUNS["two epochs"]
    case = Case(polynomial(), run, optimizer_config(), tmp_path)
    both = case.replay([*orders, run], size=2)
    for row, order in zip(both, [*orders, run], strict=True):
        assert torch.equal(row, case.replay([order], size=2)[0])


def test_of_two_visits_the_nearer_one_counts_more(tmp_path):
    run, _ = RUNS["two epochs"]
    case = Case(polynomial(), run, optimizer_config(learning_rate=0.05), tmp_path)
    with opened(case.file, "k", "reference") as file:
        known = case.measured(StoredPath(file), size=1)
    near = case.states[1].parameters[None]
    visits, weights = known.visits_near(torch.tensor([[2]]), near, torch.zeros(1, 1).bool())
    assert known.steps[visits[0, 0]].tolist() == [1, 5]
    assert weights[0, 0].tolist() == [1, 0], "the point of the visit itself has not all the weight"


def test_stored_residuals_have_the_error_of_their_codes(tmp_path):
    case = Case(polynomial(), RUNS["one unit a step"][0], optimizer_config(), tmp_path)
    with opened(case.file, "k", "reference") as file:
        path = StoredPath(file)
        scale = torch.full((case.problem.size,), 2.0, dtype=torch.float64)
        known = KnownRuns.measure(case.problem, path, case.schedule, [1, 2], scale, seed=3)
    known.save(tmp_path / "residuals.h5", "k")
    for size in (1, 2):
        loaded = KnownRuns.load(tmp_path / "residuals.h5", "k", size)
        exact, [stored] = known.residuals[size].tensor, loaded.residuals.values()
        limit = exact.abs().amax(1, keepdim=True) / 127 / 2 * 1.001
        assert ((stored.tensor - exact).abs() <= limit).all()
        assert isinstance(stored, Rows)
        for name in ("steps", "units", "runs"):
            assert np.array_equal(getattr(loaded, name), getattr(known, name)), name
        assert torch.equal(loaded.points, known.points)
        assert torch.equal(loaded.subsamples.scale, known.subsamples.scale)
        assert np.array_equal(loaded.subsamples.drawn, known.subsamples.drawn)


def test_each_sequence_is_differentiated_once(tmp_path):
    case = Case(polynomial(4), RUNS["two units a step"][0], optimizer_config(), tmp_path)
    case.problem.meter.counts.clear()
    with opened(case.file, "k", "reference") as file:
        scale = torch.ones(case.problem.size, dtype=torch.float64)
        KnownRuns.measure(case.problem, StoredPath(file), case.schedule, [1, 2, 4], scale, 0)
    assert case.problem.meter.total == {"gradients": UNITS * 4}


FURTHER = {  # by the keys of RUNS: schedules of two more runs
    "one unit a step": [[[4], [3], [5], [0], [2], [1]], [[1], [5], [0], [4], [3], [2]]],
    "two units a step": [[[4, 0], [3, 1], [5, 2]], [[1, 3], [5, 4], [0, 2]]],
    "two epochs": [
        [[4, 0], [3, 1], [5, 2], [0, 5], [1, 2], [3, 4]],
        [[1, 3], [5, 4], [0, 2], [2, 3], [4, 5], [0, 1]],
    ],
    "units that the run left out": [[[4], [3], [5], [0]], [[1], [5], [1], [2]]],
}


def brute_force(case, order, size, runs, excluded=None):
    """Return the final parameters of an order, from the formula and torch's optimizer."""
    whole, states = [case.schedule, *map(np.array, runs)], [case.states]
    states += [torch_states(case.problem, case.warm, run, case.config) for run in whole[1:]]
    drawn = drawn_sequences(case.problem.units, case.problem.sequences, 0)

    def points(unit):
        """Yield the parameters where the runs consumed a unit."""
        for number, (run, path) in enumerate(zip(whole, states, strict=True)):
            if number == excluded:
                continue
            steps = [t for t, row in enumerate(run) for each in row if each == unit]
            if number == 0 and not steps:
                steps = [len(run) // 2]
            yield from (path[t].parameters for t in steps)

    def corrected(unit, theta):
        """Return the gradient of a unit with the formula of the class, for units of sequences."""
        rows = np.array([[unit, sequence] for sequence in drawn[unit][:size]])
        known = list(points(unit))
        weights = kriging(np.stack([(point - theta).numpy() for point in known]))
        total = gradient(lambda at: case.problem.sample_loss(at, rows), theta)
        for point, weight in zip(known, weights, strict=True):
            full = gradient(lambda at: case.problem.loss(at, unit), point)
            part = gradient(lambda at: case.problem.sample_loss(at, rows), point)
            total = total + weight * (full - part)
        return total

    parameter = case.warm.parameters.clone().requires_grad_()
    optimizer = torch_adamw(parameter, case.warm, case.config)
    for row in order:
        theta = parameter.detach().clone()
        parameter.grad = torch.stack([corrected(unit, theta) for unit in row]).mean(0)
        optimizer.step()
    return parameter.detach()


def kriging(differences):
    """Return the weights that minimize their objective, from its conditions with a multiplier."""
    gram, n = differences @ differences.T, len(differences)
    if gram.diagonal().min() < 1e-24:
        return np.eye(n)[gram.diagonal().argmin()]
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = 2 * (gram + 0.05 * np.diag(gram.diagonal()))
    system[n, n] = 0
    return np.linalg.solve(system, np.eye(n + 1)[n])[:n]


@pytest.mark.parametrize("name", RUNS)
def test_with_several_runs_it_is_the_combination_of_the_formula(name, tmp_path):
    (run, orders), runs = RUNS[name], FURTHER[name]
    case = Case(polynomial(), run, optimizer_config(learning_rate=0.02), tmp_path)
    ends = case.replay([*orders, run], size=2, runs=runs)
    for row, order in zip(ends, [*orders, run], strict=True):
        error = relative_error(row, brute_force(case, order, 2, runs))
        assert error < 1e-7, f"error {error:.1e} against the formula"
    moved = relative_error(ends[0], case.replay(orders[:1], size=2)[0])
    assert moved > 1e-6, "the further runs change nothing, so this test proves nothing"


@pytest.mark.parametrize("name", RUNS)
def test_an_order_is_estimated_without_its_own_run(name, tmp_path):
    (run, _), runs = RUNS[name], FURTHER[name]
    case = Case(polynomial(), run, optimizer_config(learning_rate=0.02), tmp_path)
    turned = [row[::-1] for row in runs[1]]  # the sequence of the units of a step does not matter
    for order in (runs[1], turned):
        [end] = case.replay([order], size=2, runs=runs)
        error = relative_error(end, case.replay([order], size=2, runs=runs[:1])[0])
        assert error < 1e-12, f"error {error:.1e}: the run of an order corrects its own estimate"
        assert relative_error(end, brute_force(case, order, 2, runs, excluded=2)) < 1e-7
        assert relative_error(end, case.truth(order)) > 1e-7, "the estimate is exact"


@pytest.mark.parametrize("sequences", [1, 3])
@pytest.mark.parametrize("name", RUNS)
def test_with_several_runs_the_order_of_the_reference_run_is_exact(name, sequences, tmp_path):
    (run, orders), runs = RUNS[name], FURTHER[name]
    config = optimizer_config(learning_rate=0.005, gradient_clip=0.5)
    case = Case(polynomial(sequences), run, config, tmp_path)
    end = case.replay([*orders, run], size=1, runs=runs)[-1]
    assert relative_error(end, case.states[-1].parameters) < 1e-8


@pytest.mark.parametrize("name", RUNS)
def test_with_several_runs_and_whole_units_it_equals_retraining(name, tmp_path):
    (run, orders), runs = RUNS[name], FURTHER[name]
    case = Case(polynomial(), run, optimizer_config(learning_rate=0.005), tmp_path)
    orders = [*orders, *runs]
    for row, order in zip(case.replay(orders, size=3, runs=runs), orders, strict=True):
        assert relative_error(row, case.truth(order)) < 1e-9


def test_units_of_one_sequence_with_several_runs_are_exact_if_all_are_evaluated(tmp_path):
    (run, orders), runs = RUNS["two units a step"], FURTHER["two units a step"]
    case = Case(polynomial(sequences=1), run, optimizer_config(learning_rate=0.02), tmp_path)
    orders = [*orders, *runs]
    for row, order in zip(case.replay(orders, size=2, runs=runs), orders, strict=True):
        assert relative_error(row, case.truth(order)) < 1e-9


def test_orders_with_several_runs_are_replayed_together_as_alone(tmp_path):
    (run, orders), runs = RUNS["two epochs"], FURTHER["two epochs"]
    case = Case(polynomial(), run, optimizer_config(), tmp_path)
    orders = [*orders, run, runs[0]]
    for row, order in zip(case.replay(orders, size=2, runs=runs), orders, strict=True):
        assert torch.equal(row, case.replay([order], size=2, runs=runs)[0])
