"""Properties of every estimator."""

import numpy as np
import pytest
import torch

from problems import (
    KINDS,
    barycentre,
    expansion,
    ignore,
    language_problem,
    optimizer_config,
    relative_error,
    torch_states,
    warm_state,
)
from trainorder.config.methods import METHODS as DESCRIPTORS
from trainorder.config.methods import method_names
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.curvature.build_low_rank import build_low_rank
from trainorder.curvature.build_reduced_model import build_reduced_model
from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.curvature.probe_rounds import ProbeRounds
from trainorder.curvature.probe_schedules import probe_schedules
from trainorder.curvature.probing import Prober
from trainorder.curvature.reduced_model import ReducedModel
from trainorder.estimators.build_estimator import build_estimator
from trainorder.expansion.clusters import Clusters, draw_pools, label_clusters
from trainorder.expansion.expansion import Expansion

CONFIGS = [
    EstimatorConfig("constant", "reference"),
    EstimatorConfig("order0", "reference"),
    EstimatorConfig("fut", "reference", guard=1.0),
    EstimatorConfig("fut", "reference", guard=None),
    EstimatorConfig("fut++", "reference", guard=1.0),
    EstimatorConfig("fut++", "reference", guard=None),
    EstimatorConfig("taylor1", "reference"),
    EstimatorConfig("taylor2", "reference"),
    EstimatorConfig("order0", "reference", tail=1),
    EstimatorConfig("taylor1", "reference", tail=2),
    EstimatorConfig("recency", "reference", tail=2),
]
REFERENCE = [[0, 3], [1, 4], [2, 5]]


PAIRS = "pairs"  # of prompt and response, under AdamW


def of_every_kind(configs):
    """Return each optimizer of the fixture with the estimators that support it."""
    return [
        pytest.param(kind, config, id=f"{kind}-{config.name}")
        for kind in (*KINDS, PAIRS)
        for config in configs
        if kind in ("adamw", PAIRS) or not config.descriptor.expands_adam
    ]


@pytest.fixture(scope="module")
def case(request, tmp_path_factory):
    problem = language_problem(pairs=request.param == PAIRS)
    config = optimizer_config(weight_decay=0.1, **KINDS.get(request.param, {}))
    warm = warm_state(problem, problem.model.parameters(), config)
    states = torch_states(problem, warm, REFERENCE, config)
    with expansion(problem, states, config, tmp_path_factory.mktemp("store")) as about:
        yield about, states


@pytest.mark.parametrize(
    ("case", "config"), of_every_kind(CONFIGS), indirect=["case"], scope="module"
)
def test_the_reference_order_is_estimated_exactly_on_the_reference_path(config, case):
    about, states = case
    estimated = build_estimator(config, about).replay(torch.tensor([REFERENCE]), ignore)[0]
    error = relative_error(estimated, states[-1].parameters)
    assert error < 1e-10, f"{config.name}: error {error:.1e} on the reference path itself"


@pytest.mark.parametrize(
    ("case", "config"), of_every_kind(CONFIGS), indirect=["case"], scope="module"
)
def test_every_step_is_observed_from_the_start_to_the_end(config, case):
    about, states = case
    schedules = torch.tensor(
        np.stack([np.random.default_rng(i).permutation(6).reshape(3, 2) for i in range(2)])
    )
    seen = {}
    estimated = build_estimator(config, about).replay(
        schedules, lambda t, parameters: seen.update({t: parameters.clone()})
    )
    assert list(seen) == [0, 1, 2, 3]
    assert torch.equal(seen[0], states[0].parameters.expand(2, -1)), (
        "the replay does not start at the window's start"
    )
    assert torch.equal(seen[3], estimated), "the last observation is not the result"


@pytest.mark.parametrize(
    ("case", "config"), of_every_kind(CONFIGS[1:]), indirect=["case"], scope="module"
)
def test_another_order_has_another_estimate(config, case):
    about, states = case
    estimated = build_estimator(config, about).replay(torch.tensor([REFERENCE[::-1]]), ignore)[0]
    assert relative_error(estimated, states[-1].parameters) > 1e-6, (
        f"{config.name} ignores the order"
    )


@pytest.mark.parametrize("case", ["adamw"], indirect=True)
@pytest.mark.parametrize("config", CONFIGS[1:], ids=lambda config: config.name)
def test_the_progress_bar_is_labelled_replay(config, case, capfd):
    build_estimator(config, case[0]).replay(torch.tensor([REFERENCE]), ignore)
    assert capfd.readouterr().err.lstrip("\r").startswith("replay:")


@pytest.mark.parametrize("case", ["sgd", "sgd with momentum"], indirect=True)
@pytest.mark.parametrize("method", method_names(lambda method: method.expands_adam))
def test_the_published_method_is_not_applied_to_another_optimizer(method, case):
    estimator = build_estimator(EstimatorConfig(method, "reference", guard=1.0), case[0])
    with pytest.raises(ValueError, match="Adam's update"):
        estimator.replay(torch.tensor([REFERENCE]), ignore)


UNITS, STEP, EPOCHS = 8, 4, 2
STEPS = UNITS * EPOCHS // STEP
METHODS = [
    *(
        EstimatorConfig(method.name, "")
        for method in DESCRIPTORS.values()
        if not (method.fitted or method.needs_tail or method.takes_size)
        and method.name != "adjoint"  # it has no replay, and tests of its own
    ),
    EstimatorConfig("fut", "", guard=1.0),
    EstimatorConfig("recency", "", tail=2),
    EstimatorConfig("subsample", "", size=1),
    EstimatorConfig("nystrom", "", tail=1),
]


@pytest.fixture(scope="module")
def sample_order(request, tmp_path_factory):
    """Return an expansion with one sequence per unit, built like that of a study."""
    kind, path = request.param
    problem = language_problem(units=UNITS, unit_size=1, pairs=kind == PAIRS)
    changes = {"weight_decay": 0.1, "schedule": "cosine", **KINDS.get(kind, {})}
    config = optimizer_config(learning_rate=2e-3, **changes)
    warm = warm_state(problem, problem.model.parameters(), config)
    folder = tmp_path_factory.mktemp("store")
    labels = label_clusters(problem.corpus.unit_domains)
    clusters = Clusters(labels, draw_pools(labels, 1, 3, 0))
    schedules = probe_schedules((STEPS, STEP), UNITS, 0)
    if path == "reference":
        states = torch_states(problem, warm, schedules[0].numpy(), config)
        context = expansion(problem, states, config, folder)
    else:
        given = np.array([0, 2, STEPS - 1])
        context = barycentre(problem, warm, STEPS, STEP, config, folder, clusters, given)
    with context as about:
        prober = Prober(about, clusters, schedules, 1)
        along = prober.run(ProbeRounds(6), 0.01)
        moves = prober.displacements()
        model, _ = build_low_rank(about, along, labels, moves, prober.metric, 20)
        model.save(folder / "curvature.h5", "k")
        reduced = build_reduced_model(
            about, model, probe_schedules((STEPS, STEP), UNITS, 0, 16), prober.metric, [STEPS]
        )
        reduced.save(folder / "reduced.h5", "k")
        yield about, folder


def orders(seed):
    """Return two epochs of permutations, and schedules with missing and repeated units."""
    rng = np.random.default_rng(seed)
    rows = [np.concatenate([rng.permutation(UNITS) for _ in range(EPOCHS)]) for _ in range(2)]
    rows.append(np.where(rows[0] == 3, 5, rows[0]))
    rows.append(np.full(UNITS * EPOCHS, 2))
    return torch.from_numpy(np.stack(rows).reshape(-1, STEPS, STEP))


@pytest.mark.parametrize(
    ("sample_order", "config"),
    [
        pytest.param((case.values[0], path), case.values[1], id=f"{path}-{case.id}")
        for path in ("reference", "barycentre")
        for case in of_every_kind(METHODS)
    ],
    indirect=["sample_order"],
    scope="module",
)
def test_sample_order_is_estimated_by_every_method(config, sample_order):
    about, folder = sample_order
    schedules = orders(0)
    if config.method == "reduced":
        estimated = ReducedModel.load(folder / "reduced.h5", "k").predict(schedules)
        assert estimated.shape == (4, 2)
    else:
        model = LowRankExpansion.load(folder / "curvature.h5", "k", about.path.state(0))
        if config.method == "nystrom":  # it uses neither path nor table
            about = Expansion(about.problem, about.optimizer, model, None)
        seen = []
        estimator = build_estimator(config, about, model=model)
        estimated = estimator.replay(schedules, lambda t, parameters: seen.append(t))
        assert seen == list(range(STEPS + 1))
        assert estimated.shape == (4, about.problem.size)
    assert torch.isfinite(estimated).all()
    if config.method != "constant":
        differ = [not torch.allclose(estimated[0], row, rtol=1e-9) for row in estimated[1:]]
        assert all(differ), f"{config.name}: different orders have the same estimate: {differ}"
