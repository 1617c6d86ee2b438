"""The low-rank expansion gives the gradients of the table and the curvature, up to its rank."""

import numpy as np
import pytest
import torch

from problems import (
    Polynomial,
    barycentre,
    curvature_along,
    every_sequence,
    expansion,
    low_rank,
    optimizer_config,
    relative_error,
    torch_states,
    warm_state,
)
from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.curvature.low_rank_rounding import rounding
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.expansion.clusters import Clusters, draw_pools
from trainorder.numerics.interpolation import bracket
from trainorder.numerics.rows import Rows
from trainorder.training.optimizer import ALL

UNITS, SIZE, STEPS = 6, 300, 7
LABELS = np.array([0, 1, 0, 1, 2, 0])


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Return a barycentre expansion with three anchors, noisy clusters and some probes."""
    problem = Polynomial(UNITS, size=SIZE, noise=0.5, sequences=8)
    config = optimizer_config()
    warm = warm_state(problem, problem.start, config)
    clusters = Clusters(LABELS, draw_pools(LABELS, 8, 6, 0))
    given = np.array([0, 3, 6])
    folder = tmp_path_factory.mktemp("store")
    with barycentre(problem, warm, STEPS, 1, config, folder, clusters, given) as about:
        yield about, clusters, normal(10, SIZE)


def displaced(model, t, moves):
    """Return parameters off the expansion's own path, and units of a step for each."""
    return model.parameters(t) + moves, torch.tensor([[0, 3]] * (len(moves) - 1) + [[4, 2]])


@pytest.mark.slow
@pytest.mark.parametrize("anchors", [1, 2])
@pytest.mark.parametrize("t", [1, 2, 3, 6])
def test_the_full_basis_gives_the_table_and_the_curvature(case, anchors, t):
    about, clusters, probes = case
    model, lost = low_rank(about, clusters, probes=probes, anchors=anchors)
    along = curvature_along(about, clusters, probes, anchors)
    assert 0 < float(along.middle.factors.min()) < float(along.middle.factors.max()) < 1
    moves = 0.1 * normal(4, SIZE, seed=3)
    parameters, units = displaced(model, t, moves)
    expected = about.gradients(t, units)
    for column in units.T:
        expected += along.apply(t, Rows(moves), torch.from_numpy(LABELS)[column])(ALL) / 2
    error = relative_error(model.gradients(t, units, parameters)(ALL), expected)
    assert error < 1e-6, f"the sum of table and curvature has the relative error {error:.1e}"
    assert lost < 1e-9
    change = expected - about.gradients(t, units)
    assert relative_error(model.curvature(t, units, parameters)(ALL), change) < 1e-6


def test_at_the_start_the_gradients_are_those_of_the_table(case):
    about, clusters, probes = case
    model, _ = low_rank(about, clusters, probes=probes)
    parameters, units = displaced(model, 0, torch.zeros(3, SIZE, dtype=torch.float64))
    assert (
        relative_error(model.gradients(0, units, parameters)(ALL), about.gradients(0, units)) < 1e-6
    )


def test_a_larger_basis_loses_less(case):
    about, clusters, probes = case
    models = [low_rank(about, clusters, size, probes) for size in (1, 4, 12, 24, 10**6)]
    lost = [each[1] for each in models]
    assert lost == sorted(lost, reverse=True), f"the energy lost does not fall: {lost}"
    assert 0 < lost[1] < lost[0] < 1
    errors = []
    for model, _ in models:
        units = torch.arange(UNITS)[:, None]
        at = model.gradients(0, units, model.parameters(0).expand(UNITS, -1))(ALL)
        errors.append(relative_error(at, about.gradients(0, units)))
    assert errors == sorted(errors, reverse=True), f"the errors of the table do not fall: {errors}"
    assert [len(model.basis) for model, _ in models[:3]] == [1, 4, 12]


def test_the_basis_is_orthonormal_in_the_metric_of_the_preconditioner(case):
    about, clusters, probes = case
    model, _ = low_rank(about, clusters, 12, probes)
    scaled = model.basis.tensor / second_moment_scale(about)
    assert torch.allclose(scaled @ scaled.T, torch.eye(12, dtype=torch.float64), atol=1e-8)


def test_the_path_is_exact_at_the_anchors_and_interpolated_between(case):
    about, clusters, probes = case
    model, _ = low_rank(about, clusters, 4, probes)
    assert (model.steps, model.first_step) == (STEPS, about.path.first_step)
    assert model.anchors.tolist() == [0, 3, 6]
    for t in (0, 3, 6):
        assert torch.equal(model.parameters(t), about.path.parameters(t)), f"anchor {t} differs"
    expected = torch.lerp(about.path.parameters(3), about.path.parameters(6), 1 / 3)
    assert relative_error(model.parameters(4), expected) < 1e-12
    assert torch.equal(model.state(0).exp_avg_sq, about.path.state(0).exp_avg_sq)
    with pytest.raises(ValueError, match="no moments"):
        model.state(3)


def test_a_saved_expansion_is_read_back_within_the_rounding(case, tmp_path):
    about, clusters, probes = case
    model, _ = low_rank(about, clusters, 20, probes, anchors=2)
    loaded = rounded(model, tmp_path)
    for name in ("coefficients", "cores", "labels", "unit_corrections", "unit_readers"):
        assert torch.equal(getattr(loaded, name), getattr(model, name)), name
    for name in ("anchors", "probed_steps"):
        assert np.array_equal(getattr(loaded, name), getattr(model, name)), name
    assert loaded.steps == model.steps
    basis = model.basis.tensor
    padded = torch.nn.functional.pad(basis, (0, -SIZE % 256)).unflatten(1, (-1, 256))
    levels = torch.tensor([127.0] * len(model.readers) + [7.0] * (20 - len(model.readers)))
    step = (padded.abs().amax(-1) / levels[:, None]).repeat_interleave(256, 1)[:, :SIZE]
    assert ((loaded.basis.tensor - basis).abs() <= step * 0.501).all(), "more than half a step"
    for name in ("anchor_parameters", "mean"):
        exact, read = getattr(model, name).tensor, getattr(loaded, name).tensor
        origin = model.start.parameters if name == "anchor_parameters" else 0
        bound = (exact - origin).abs() * 2**-11 * 1.001 + 1e-12
        assert ((exact - read).abs() <= bound).all(), f"{name} is less exact than float16"
    parameters, units = displaced(model, 4, 0.1 * normal(3, SIZE, seed=3))
    error = relative_error(
        loaded.gradients(4, units, parameters)(ALL), model.gradients(4, units, parameters)(ALL)
    )
    assert error < 0.1, f"half-bytes change a gradient by {error:.1e}"


def rounded(model, folder):
    """Return a model as it is read back from its file."""
    model.save(folder / "curvature.h5", "k")
    return LowRankExpansion.load(folder / "curvature.h5", "k", model.start)


@pytest.mark.parametrize("t", [3, 4])
def test_the_error_of_rounding_is_that_of_the_gradients(case, tmp_path, t):
    about, clusters, probes = case
    model, _ = low_rank(about, clusters, 20, probes, anchors=2)
    loaded, metric = rounded(model, tmp_path), second_moment_scale(about)
    directions = 0.1 * normal(3, SIZE, seed=5)
    lost = rounding(model, loaded, Rows(directions), metric, t)
    units = torch.arange(UNITS).repeat(400)[:, None]
    drawn = normal(len(units), 3, seed=6) @ directions
    at = model.parameters(t).expand(len(units), -1)
    on_path, displaced = (
        [each.gradients(t, units, where)(ALL) / metric for each in (model, loaded)]
        for where in (at, at + drawn)
    )
    # on the unrounded path, the rounded expansion is displaced by the rounding of its own path
    own = loaded.curvature(t, units, at)(ALL) / metric
    from_mean = on_path[0] - model.mean_gradient(t) / metric
    error = on_path[1] - own - on_path[0]
    expected = {
        "table": relative_error(from_mean + error, from_mean),
        "curvature": relative_error(displaced[1] - on_path[1] + own, displaced[0] - on_path[0]),
    }
    assert lost["table"] == pytest.approx(expected["table"], rel=1e-6)
    assert lost["curvature"] == pytest.approx(expected["curvature"], rel=0.3)  # few draws
    assert min(lost.values()) > 1e-3, "half-bytes have no error"


def test_without_rounding_the_error_is_zero(case):
    about, clusters, probes = case
    model, _ = low_rank(about, clusters, 20, probes)
    directions, metric = Rows(normal(3, SIZE, seed=5)), second_moment_scale(about)
    assert rounding(model, model, directions, metric, 4) == {"table": 0.0, "curvature": 0.0}


def test_without_directions_the_error_of_the_curvature_is_none(case, tmp_path):
    about, clusters, probes = case
    model, _ = low_rank(about, clusters, 20, probes)
    loaded, metric = rounded(model, tmp_path), second_moment_scale(about)
    lost = rounding(model, loaded, Rows(normal(0, SIZE)), metric, 4)
    assert lost["table"] > 0
    assert lost["curvature"] is None


def test_the_reference_path_has_a_low_rank_expansion_too(tmp_path):
    problem, config = Polynomial(UNITS, size=8), optimizer_config()
    warm = warm_state(problem, problem.start, config)
    states = torch_states(problem, warm, [[0], [1], [2], [3]], config)
    with expansion(problem, states, config, tmp_path) as about:
        model, _ = low_rank(about, every_sequence(problem, LABELS))
        units = torch.arange(UNITS)[:, None]
        at = model.gradients(2, units, about.path.parameters(2).expand(UNITS, -1))(ALL)
        assert relative_error(at, about.gradients(2, units)) < 1e-6


@pytest.mark.parametrize(
    ("t", "expected"),
    [(0, (0, 0, 0.0)), (2, (0, 0, 0.0)), (3, (0, 1, 0.25)), (6, (1, 1, 0.0)), (9, (1, 1, 0.0))],
)
def test_the_bracket_of_a_step_is_the_anchors_around_it(t, expected):
    assert bracket(np.array([2, 6]), t) == expected
