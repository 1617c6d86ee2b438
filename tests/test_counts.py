"""Every pass through the model is counted, in the span that a job times."""

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from problems import (
    HORIZON,
    barycentre,
    ignore,
    language_problem,
    low_rank,
    optimizer_config,
    warm_state,
)
from trainorder.compression.comparison import compare_codecs
from trainorder.config.methods import METHODS
from trainorder.config.sections.curvature import MIN_RANK, CurvatureConfig
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.curvature.build_reduced_model import build_reduced_model
from trainorder.curvature.curvature_counts import CurvatureCounts
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.curvature.probe_growth import ProbeGrowth
from trainorder.curvature.probe_rounds import ProbeRounds
from trainorder.curvature.probe_schedules import probe_schedules
from trainorder.curvature.probing import Prober
from trainorder.curvature.unit_curvature import ProbedExpansion, leading, own_responses, unit_pools
from trainorder.data.multiple_choice import questions
from trainorder.estimators.adjoint import barycentre_steps, path_effects, reference_steps
from trainorder.estimators.build_estimator import build_estimator
from trainorder.evaluation import replaying
from trainorder.evaluation.replaying import (
    replay_orders,
    replayed_readouts,
    replayed_unit_losses,
)
from trainorder.evaluation.retraining import TrainingSetup, retrain_orders
from trainorder.expansion.clusters import Clusters, draw_pools, gradient_clusters
from trainorder.expansion.gradient_table import write_table
from trainorder.expansion.known_runs import KnownRuns
from trainorder.expansion.run_recorder import RunRecorder
from trainorder.numerics.countsketch import SparseJL
from trainorder.numerics.rows import Rows
from trainorder.orders.order import Order
from trainorder.storage.sealed_hdf5 import creating
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.meter import Meter
from trainorder.training.passes import products

UNITS, SEQUENCES, HELDOUT = 6, 4, 2 * 3  # held-out sequences: of two domains
LABELS = np.array([0, 1, 0, 1, 0, 1])
SCHEDULES = [[[5], [2], [0], [4], [1], [3]], [[1], [0], [2], [3], [5], [4]]]
ORDERS = [
    Order(name, "random", "calibration", np.array(schedule))
    for name, schedule in zip(("one", "other"), SCHEDULES, strict=True)
]
CURVATURE = CurvatureConfig("domains", 5, 1, 8, 0.0, 40, 3, 2)


class Case:
    """A language problem with all that the numerical routines of the rules need."""

    def __init__(self, about, clusters, warm, config):
        self.about, self.clusters, self.warm, self.config = about, clusters, warm, config
        self.problem, self.theta = about.problem, about.path.parameters(3)
        self.model, _ = low_rank(about, clusters, size=40, probes=self.directions(6))
        self.metric = second_moment_scale(about)
        self.sketch = SparseJL(self.problem.size, 64)
        self.runs = self.known_runs()
        self.schedules = probe_schedules((UNITS, 1), UNITS, 0, 5)

    def known_runs(self):
        schedule = np.arange(UNITS)[:, None]
        scale = torch.ones(self.problem.size, dtype=torch.float64)
        return KnownRuns.measure(self.problem, self.about.path, schedule, [2], scale, 0)

    def directions(self, n):
        generator = torch.Generator().manual_seed(n)
        return torch.randn(n, self.problem.size, generator=generator, dtype=torch.float64)

    def estimator(self, method, **options):
        entry = EstimatorConfig(method, "barycentre", **options)
        return build_estimator(entry, self.about, model=self.model, runs=self.runs)


def retrain(case, folder, averaged_states=None):
    def checkpoints(order, readout):
        return Checkpoints(folder / "trained", f"{order}-{readout}", 4)

    setup = TrainingSetup(
        case.warm, case.config, HORIZON, [3, 6], checkpoints, averaged_states=averaged_states
    )
    units = {"other": [1, 4]}
    retrain_orders(case.problem, ORDERS, setup, followed=[], sketch=case.sketch, units=units)


def record(case, folder):
    def checkpoints(order, readout):
        return Checkpoints(folder / "trained", f"{order}-{readout}", 4)

    with creating(folder / "known_runs-0.h5", "k") as file:
        known, subsamples = {1: ORDERS[0]}, case.runs.subsamples
        recorder = RunRecorder(file, case.problem, subsamples, known, (UNITS, 1))
        setup = TrainingSetup(
            case.warm, case.config, HORIZON, [3, 6], checkpoints, recorder=recorder
        )
        units = {"other": [1, 4]}
        retrain_orders(case.problem, ORDERS, setup, followed=[], sketch=case.sketch, units=units)


def run_barycentre(case, folder):
    args = (case.problem, case.warm, UNITS, 1, case.config, folder, case.clusters)
    with barycentre(*args, given=np.array([0, 3])):
        pass


def measure_units(case, folder):
    directions = leading(Rows(case.directions(20)), case.metric, 2)
    probed = ProbedExpansion(case.model, case.metric, directions, 0.1)
    pools = unit_pools(case.problem, CURVATURE.unit_sequences, 0)
    own_responses(case.problem, case.theta, probed, pools, np.array([1, 4]))


def probe(case, rounds):
    Prober(case.about, case.clusters, case.schedules, 1).run(rounds, 0.0)


def reduce_model(case, folder, averaged_states=None):
    build_reduced_model(
        *(case.about, case.model, case.schedules, case.metric, [3, 6]),
        averaged_states=averaged_states,
    )


def sweep(case, folder):
    path_effects(case.about, barycentre_steps(case.problem, case.clusters, UNITS, 1))


def replay(case, folder, method, averaged_states=None, **options):
    estimator = case.estimator(method, **options)
    return replay_orders(estimator, case.problem, ORDERS, [], case.sketch, averaged_states)


def evaluate_moves(case, folder):
    schedules, units = torch.tensor(SCHEDULES), np.array([2, 5])
    replayed_unit_losses(case.estimator("nystrom"), case.problem, schedules, units)


OPTIONS = {
    "subsample": {"size": 2},
    "corrected": {"size": 2},
    "recency": {"tail": 2},
    "order0": {"tail": 1},
}
REPLAYED = [name for name, method in METHODS.items() if method.rule == "estimate"]
ROUTINES = {  # by rule
    "orders": lambda case, _: case.problem.unit_losses(case.theta),
    "truth": retrain,
    "truth of known runs": record,
    "table": lambda case, folder: write_table(
        folder / "table.h5", "k", case.problem, case.about.path, np.array([1, 4])
    ),
    "residuals": lambda case, _: case.known_runs(),
    "clusters": lambda case, _: gradient_clusters(case.problem, case.theta, 2, 0),
    "barycentre": run_barycentre,
    "probes": lambda case, _: probe(case, ProbeRounds(CURVATURE.rank)),
    "unit_curvature": measure_units,
    "reduced": reduce_model,
    "effects": sweep,
    "stores": lambda case, _: compare_codecs(case.problem, case.about, ORDERS),
    "propose": lambda case, _: replayed_readouts(
        case.estimator("nystrom"), case.problem, torch.tensor(SCHEDULES), [3, 6]
    ),
    "position_maps": evaluate_moves,
    **{name: partial(replay, method=name, **OPTIONS.get(name, {})) for name in REPLAYED},
}


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    problem, config = language_problem(UNITS, SEQUENCES), optimizer_config(learning_rate=1e-3)
    warm = warm_state(problem, problem.model.parameters(), config)
    clusters = Clusters(LABELS, draw_pools(LABELS, SEQUENCES, 5, 0))
    folder = tmp_path_factory.mktemp("case")
    with barycentre(problem, warm, UNITS, 1, config, folder, clusters) as about:
        yield Case(about, clusters, warm, config)


@pytest.fixture
def passed(case):
    """Return the sequences that pass through the module itself, by kind."""
    passed = Counter()

    def count(module, arguments, output):
        kind = "gradients" if output.logits.requires_grad else "losses"
        passed[kind] += len(arguments[0])

    hook = case.problem.model.module.register_forward_hook(count)
    case.problem.meter.counts.clear()
    yield passed
    hook.remove()


@pytest.mark.parametrize("rule", ROUTINES)
def test_every_sequence_that_passes_through_the_model_is_counted(rule, case, passed, tmp_path):
    ROUTINES[rule](case, tmp_path)
    counted = case.problem.meter.total
    further = ("hvps", "third_derivatives")
    assert {kind: n for kind, n in counted.items() if kind not in further} == dict(passed)
    assert passed, "the routine evaluates no model"


@pytest.mark.parametrize("further", [0, 10, 77, 250])
def test_the_largest_rank_of_a_budget_is_counted_within_it_and_one_more_probe_is_not(
    further, case, tmp_path
):
    counts = CurvatureCounts(
        CurvatureConfig("domains", 5, 1, "auto", 0.0, 40, 2, 2),
        pooled=sum(map(len, case.clusters.pools)),
        units=UNITS,
        sequences=SEQUENCES,
        goals=2,
        heldout=HELDOUT // 2,
        reduced_readouts=2,
    )
    least = counts.probing(ProbeRounds(MIN_RANK, grows=True)) + counts.after_probing
    rounds = counts.rounds(least + further)
    assert rounds.most == MIN_RANK if not further else rounds.most > MIN_RANK
    case.problem.meter.counts.clear()
    probe(case, rounds)
    measure_units(case, tmp_path)
    reduce_model(case, tmp_path)
    units = counts.unit_passes * counts.unit_sequences * 2 // UNITS  # it measures two of the units
    counted = case.problem.meter.total["gradients"]
    assert counted == counts.probing(rounds) + units + counts.reducing
    assert counts.probing(rounds) + counts.after_probing <= least + further
    more = ProbeRounds(rounds.most + 1, grows=True)
    assert counts.probing(more) + counts.after_probing > least + further


def test_a_prober_counts_what_it_differentiates_and_stays_within_the_budget(case):
    config = CurvatureConfig("domains", "auto", "auto", "auto", 0.0, 40, 2, 2)
    pooled = sum(map(len, case.clusters.pools))
    counts = CurvatureCounts(config, pooled, UNITS, SEQUENCES, goals=2, heldout=HELDOUT // 2)
    budget = counts.after_probing + counts.sensitivities + 700
    growth, rounds = counts.growth(budget), ProbeRounds(12, grows=True)
    case.problem.meter.counts.clear()
    prober = Prober(case.about, case.clusters, case.schedules, 1)
    prober.start(rounds)
    while prober.extend(rounds, 0.0, growth) is None:
        pass
    counted = case.problem.meter.total["gradients"]
    assert counted == prober.differentiated + counts.sensitivities
    assert counted + counts.after_probing <= budget
    kinds = {one.kind for one in prober.rounds}
    assert {"greedy", "pool"} <= kinds, f"only {kinds} grew, so the counts of others are untested"


def test_the_check_of_more_probed_steps_and_their_probes_are_counted(case):
    growth, rounds = ProbeGrowth(5000, pool=False, anchors=True), ProbeRounds(6, grows=True)
    case.problem.meter.counts.clear()
    prober = Prober(case.about, case.clusters, case.schedules, 1)
    prober.start(rounds)
    before = prober.differentiated
    check = prober._check_cost(growth)
    errors = prober.errors(growth)
    assert prober.differentiated - before == check
    assert set(errors) == {"rank", "anchors"}
    prober._add_steps(3, errors)
    before, check = prober.differentiated, prober._check_cost(growth)
    prober.errors(replace(growth, budget=10**6))  # the steps could grow to nine, but T = 6
    assert prober.differentiated - before == check == 2 * prober.size.pooled
    counted = case.problem.meter.total["gradients"]
    assert counted == prober.differentiated + HELDOUT


@pytest.mark.parametrize(("method", "tolerance"), [("taylor1", 0), ("taylor2", 0.08)])
def test_counted_derivatives_are_the_operations_that_torch_counts(method, tolerance, case):
    problem, estimator = case.problem, case.estimator(method)
    with FlopCounterMode(display=False) as one, torch.no_grad():
        problem.loss(case.theta, 0)
    problem.meter.counts.clear()
    with FlopCounterMode(display=False) as all_passes:
        estimator.replay(torch.tensor(SCHEDULES), ignore)
    counted = products(problem.meter.total) * one.get_total_flops() / SEQUENCES
    measured = all_passes.get_total_flops()
    assert counted <= measured <= (1 + tolerance) * counted


@pytest.mark.parametrize("path", ["reference", "barycentre"])
def test_the_products_of_an_adjoint_sweep_are_counted(path, case):
    problem, losses = case.problem, 2
    consumed = barycentre_steps(problem, case.clusters, UNITS, 1)
    if path == "reference":
        consumed = reference_steps(problem, np.array(SCHEDULES[0]))
    of_a_step = SEQUENCES if path == "reference" else 5 + 5
    problem.meter.counts.clear()
    path_effects(case.about, consumed)
    products = (UNITS - 1) * of_a_step * losses  # the first step needs none
    assert problem.meter.total["hvps"] == SEQUENCES + products
    gradients = HELDOUT + 3 * SEQUENCES + (UNITS - 1) * of_a_step
    assert problem.meter.total["gradients"] == gradients


SPANS = {  # sequences by span and kind, of two orders
    "constant": {"evaluation": {"losses": HELDOUT}},
    "nystrom": {"evaluation": {"losses": 2 * HELDOUT}},
    "recency": {
        "replay": {"gradients": 2 * 2 * SEQUENCES},
        "evaluation": {"losses": 2 * HELDOUT},
    },
    "subsample": {
        "precompute": {"gradients": 2 * (UNITS * UNITS + 6 * 2)},
        "replay": {"gradients": 2 * 2 * UNITS},
        "evaluation": {"losses": 2 * HELDOUT},
    },
    "corrected": {
        "replay": {"gradients": 2 * 2 * UNITS},
        "evaluation": {"losses": 2 * HELDOUT},
    },
    "truth": {
        "training": {"gradients": 2 * UNITS * SEQUENCES},
        "evaluation": {"losses": 2 * 2 * HELDOUT},
        "other": {"losses": 2 * SEQUENCES},
    },
}


SPANS["truth of known runs"] = SPANS["truth"]  # recording costs no gradient


AVERAGED = {  # the same with averaged weights
    "constant": partial(replay, method="constant", averaged_states=4),
    "corrected": partial(replay, method="corrected", averaged_states=4, size=2),
    "recency": partial(replay, method="recency", averaged_states=4, tail=2),
    "truth": partial(retrain, averaged_states=4),
}


@pytest.mark.parametrize("rule", AVERAGED)
def test_averaged_weights_double_the_losses_of_the_evaluation_only(rule, case, tmp_path):
    case.problem.meter.counts.clear()
    AVERAGED[rule](case, tmp_path)
    losses = SPANS[rule]["evaluation"]["losses"]
    assert case.problem.meter.counts == SPANS[rule] | {"evaluation": {"losses": 2 * losses}}


def test_averaged_weights_double_the_gradients_of_goals_of_the_reduced_model(case, tmp_path):
    counts = []
    for averaged_states in (None, 4):
        case.problem.meter.counts.clear()
        reduce_model(case, tmp_path, averaged_states)
        counts.append(case.problem.meter.total["gradients"])
    assert counts[1] - counts[0] == 2 * HELDOUT, "it has two readouts"


@pytest.mark.parametrize("rule", ["constant", "corrected", "truth"])
def test_each_choice_of_a_task_is_one_more_evaluation(rule, case, tmp_path, monkeypatch):
    task = questions(case.problem.corpus.heldout, 3, seed=0)
    monkeypatch.setattr(case, "problem", replace(case.problem, questions=task, meter=Meter()))
    monkeypatch.setattr(case.about, "problem", case.problem)
    ROUTINES[rule](case, tmp_path)
    losses = SPANS[rule]["evaluation"]["losses"]
    assert case.problem.meter.counts == SPANS[rule] | {"evaluation": {"losses": 4 * losses}}


@pytest.mark.parametrize("rule", SPANS)
def test_passes_are_counted_in_the_span_that_is_timed(rule, case, tmp_path):
    case.problem.meter.counts.clear()
    ROUTINES[rule](case, tmp_path)
    assert case.problem.meter.counts == SPANS[rule]


def test_a_unit_is_differentiated_once_for_all_orders_that_visit_it_at_a_step(case):
    meter = case.problem.meter
    meter.counts.clear()
    same = torch.tensor([SCHEDULES[0]] * 3)
    case.estimator("taylor2").replay(same, ignore)
    check = {"gradients": 3, "hvps": 1}  # whether the model has second derivatives
    moved = 3 * (UNITS - 1)  # at the first step no order is away from the path
    units = Counter(gradients=UNITS, hvps=moved, third_derivatives=moved) + Counter(check)
    assert meter.total == {kind: n * SEQUENCES for kind, n in units.items()}


def test_constant_is_evaluated_once_however_large_the_model_is(case, tmp_path, monkeypatch):
    outcome = replay(case, tmp_path, method="constant")
    monkeypatch.setattr(replaying, "BATCH_NUMBERS", 1)  # otherwise orders are replayed one by one
    case.problem.meter.counts.clear()
    large = replay(case, tmp_path, method="constant")
    assert case.problem.meter.counts == SPANS["constant"]
    for name in ("value", "sketch"):
        assert np.array_equal(large[name], outcome[name]), f"the {name} depends on the size"
