"""An exact tail: the last steps are real training, from the state that the estimate reached."""

import pytest
import torch

from problems import (
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
from trainorder.estimators.build_estimator import build_estimator, implementation
from trainorder.expansion.replay import ExactReplay
from trainorder.training.optimizer import MOMENTS, State

REFERENCE = [[0, 3], [1, 4], [2, 5]]
SCHEDULES = [[[5, 2], [0, 4], [1, 3]], [[2, 2], [0, 4], [2, 3]]]
STEPS = len(REFERENCE)
# The low-rank ones differ in where the tail starts only: `follow` is the same.
METHODS = method_names(  # `corrected` is tested with its known run, in its own file
    lambda method: method.takes_tail and not {"curvature", "residuals"} & {*method.reads}
)


@pytest.fixture(scope="module", params=["reference", "barycentre"])
def case(request, tmp_path_factory):
    problem = language_problem()
    config = optimizer_config(weight_decay=0.1, schedule="cosine", linear_warmup_steps=4)
    warm = warm_state(problem, problem.model.parameters(), config)
    folder = tmp_path_factory.mktemp("store")
    if request.param == "reference":
        states = torch_states(problem, warm, REFERENCE, config)
        about = expansion(problem, states, config, folder)
    else:
        about = barycentre(problem, warm, STEPS, 2, config, folder)
    truths = [torch_states(problem, warm, schedule, config) for schedule in SCHEDULES]
    with about as opened:
        yield opened, config, truths


def estimator(about, method, tail):
    return build_estimator(EstimatorConfig(method, "reference", tail=tail), about)


def test_only_exact_replays_take_a_tail(case):
    replaying = [name for name, method in DESCRIPTORS.items() if method.rule == "estimate"]
    exact = {name for name in replaying if issubclass(implementation(name), ExactReplay)}
    tails = {name for name in replaying if DESCRIPTORS[name].takes_tail}
    assert exact == tails, "the configuration accepts a tail that no replay makes exact"


@pytest.mark.parametrize("method", METHODS)
def test_a_tail_as_long_as_the_window_equals_retraining(method, case):
    about, _, truths = case
    estimated = estimator(about, method, STEPS).replay(torch.tensor(SCHEDULES), ignore)
    for row, states in zip(estimated, truths, strict=True):
        error = relative_error(row, states[-1].parameters)
        assert error < 1e-10, f"{method}: error {error:.1e} against torch's retraining"


@pytest.mark.parametrize("method", METHODS)
def test_the_tail_is_training_from_the_state_that_the_estimate_reached(method, case):
    about, config, _ = case
    replayed = estimator(about, method, 1)
    follow, followed, reached = replayed.follow, [], []

    def spy(state, *rest):
        followed.append(state)
        follow(state, *rest)

    def observe(t, parameters):
        if t == STEPS - 1:
            [state] = followed
            reached.append(
                State(*(getattr(state, name)[0].clone() for name in MOMENTS), state.step)
            )

    replayed.follow = spy
    estimated = replayed.replay(torch.tensor(SCHEDULES), observe)[0]
    truth = torch_states(about.problem, reached[0], SCHEDULES[0][-1:], config)[-1]
    assert relative_error(estimated, truth.parameters) < 1e-10, (
        f"{method}: the tail differs from training"
    )


@pytest.mark.parametrize("method", ["order0", "taylor1"])
def test_a_tail_reduces_the_error(method, case):
    about, _, truths = case
    errors = [
        relative_error(
            estimator(about, method, tail).replay(torch.tensor(SCHEDULES), ignore)[0],
            truths[0][-1].parameters,
        )
        for tail in range(STEPS + 1)
    ]
    assert errors[-1] < errors[1] < errors[0], f"{method}: errors by tail length: {errors}"


def test_recency_ignores_the_steps_before_its_tail(case):
    about, *_ = case
    early = torch.tensor([[[0, 1], [2, 3], [4, 5]], [[2, 3], [1, 0], [4, 5]]])
    estimated = estimator(about, "recency", 1).replay(early, ignore)
    assert torch.equal(estimated[0], estimated[1]), "the first steps of an order matter"


def test_true_gradients_are_counted(case):
    about, *_ = case
    meter = about.problem.meter
    meter.counts.clear()
    estimator(about, "recency", 2).replay(torch.tensor(SCHEDULES), ignore)
    visits = (1 + 2) * 2  # both orders share the first of two steps of two units
    assert meter.total == {"gradients": visits * about.problem.sequences}
