"""A unit's own curvature is added as far as it is more than noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from problems import Polynomial, barycentre, low_rank, optimizer_config, relative_error, warm_state
from trainorder.config.sections import CurvatureConfig
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.curvature.unit_curvature import (
    ProbedExpansion,
    leading,
    own_responses,
    read_responses,
    unit_pools,
    with_unit_curvature,
)
from trainorder.errors import UserError
from trainorder.expansion.clusters import Clusters, draw_pools
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.training.optimizer import ALL

UNITS, SIZE, SEQUENCES, STEPS = 6, 8, 8, 4
LABELS = np.array([0, 1, 0, 1, 0, 1])
CONFIG = CurvatureConfig("domains", 1, SIZE, 0.0, 10**6, SIZE, 4)


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def made(folder, config=CONFIG, **options):
    """Return the expansion with unit curvature, its weights, and what it was made of."""
    problem = Polynomial(UNITS, size=SIZE, sequences=SEQUENCES, **options)
    settings = optimizer_config()
    warm = warm_state(problem, problem.start, settings)
    clusters = Clusters(LABELS, draw_pools(LABELS, SEQUENCES, 3 * SEQUENCES, 0))
    given = np.array([0, 2, 3])
    with barycentre(problem, warm, STEPS, 1, settings, folder, clusters, given) as about:
        model, _ = low_rank(about, clusters, probes=normal(SIZE, SIZE))
        metric = second_moment_scale(about)
        directions = leading(normal(30, SIZE), metric, config.unit_directions)
        probed = ProbedExpansion(model, metric, directions, 0.1)
        centre = about.path.parameters(probed.step)
        pools = unit_pools(problem, config.unit_sequences, 0)
        measured = [own_responses(problem, centre, probed, pools, units) for units in SHARDS]
        halves = torch.cat(measured, dim=1)
        found, belief = with_unit_curvature(probed, halves, pools.missing_shares(SEQUENCES))
    return problem, model, found, belief


SHARDS = (np.array([0, 1, 2, 3]), np.array([4, 5]))


def bent(model, t=2):
    """Return H_u d of every unit (U, P), and the displacements d."""
    moves = 0.1 * normal(UNITS, SIZE, seed=3)
    units = torch.arange(UNITS)[:, None]
    return model.curvature(t, units, model.parameters(t) + moves)(ALL), moves


def hessians(problem):
    """Return the Hessians of a quadratic problem's units, (U, P, P)."""
    return problem.square


def test_units_without_noise_get_their_own_hessian(tmp_path):
    problem, plain, found, belief = made(tmp_path, noise=0.0, spread=1.0)
    assert torch.allclose(belief, torch.ones(UNITS, dtype=belief.dtype)), f"weights {belief}"
    rows, moves = bent(found)
    exact = torch.einsum("uij,uj->ui", hessians(problem), moves)
    assert relative_error(rows, exact) < 1e-4, "a unit bends as another does"
    assert relative_error(bent(plain)[0], exact) > 0.1, "clusters alone are exact here"


def test_all_sequences_of_a_unit_leave_no_noise(tmp_path):
    whole = replace(CONFIG, unit_sequences=SEQUENCES)
    problem, _, found, belief = made(tmp_path, whole, noise=0.5, spread=1.0)
    assert torch.allclose(belief, torch.ones(UNITS, dtype=belief.dtype)), f"weights {belief}"
    rows, moves = bent(found)
    assert relative_error(rows, torch.einsum("uij,uj->ui", hessians(problem), moves)) < 1e-4


def test_units_that_are_all_alike_are_left_to_their_cluster(tmp_path):
    _, plain, found, belief = made(tmp_path, noise=2.0, kinds=2, spread=0.0)
    assert float(belief.max()) < 0.3, f"noise is taken for the units' own curvature: {belief}"
    moved = relative_error(bent(found)[0], bent(plain)[0])
    assert moved < 0.5, f"noise moves the curvature by {moved:.2f}"


def test_without_directions_nothing_is_added(tmp_path):
    _, plain, found, belief = made(tmp_path, replace(CONFIG, unit_directions=0), noise=0.5)
    assert found is plain
    assert len(belief) == UNITS
    assert not belief.any()


def test_it_is_saved_with_the_expansion(tmp_path):
    _, _, found, _ = made(tmp_path, noise=0.0, spread=1.0)
    found.save(tmp_path / "curvature.h5", "k")
    again = type(found).load(tmp_path / "curvature.h5", "k", found.start)
    assert torch.equal(again.unit_corrections, found.unit_corrections)
    assert torch.equal(again.unit_readers, found.unit_readers)


def test_what_units_are_measured_with_is_kept_unrounded(tmp_path):
    _, plain, _, _ = made(tmp_path, noise=0.5)
    probed = ProbedExpansion(plain, normal(SIZE, seed=1), normal(2, SIZE, seed=2), 0.1)
    probed.save(tmp_path / "probed.h5", "k")
    again = ProbedExpansion.load(tmp_path / "probed.h5", "k", plain.start)
    assert again.length == probed.length
    assert again.step == probed.step
    for name in ("metric", "directions"):
        assert torch.equal(getattr(again, name), getattr(probed, name)), name
    for name, value in vars(plain).items():
        assert np.array_equal(getattr(again.model, name), value), f"{name} was rounded or lost"


def written(folder, shards):
    """Return the files of shards of the given units, whose responses are their numbers."""
    files = []
    for number, units in enumerate(shards):
        response = np.broadcast_to(
            np.asarray(units, dtype=float)[None, :, None, None], (2, len(units), 1, 1)
        )
        files.append(folder / f"{number}.h5")
        arrays = {"unit": np.asarray(units), "response": response, "left_out": np.zeros(UNITS)}
        write_arrays(files[-1], "k", arrays)
    return files


def test_shards_of_units_are_joined_in_order(tmp_path):
    halves, left_out = read_responses(written(tmp_path, [[0, 1, 2], [3], [4, 5]]), "k", UNITS)
    assert halves[0, :, 0, 0].tolist() == list(range(UNITS))
    assert len(left_out) == UNITS


@pytest.mark.parametrize("shards", [[[3, 4, 5], [0, 1, 2]], [[0, 1, 2]], [[0, 1, 2], [2, 3, 4, 5]]])
def test_shards_that_do_not_make_up_the_units_are_refused(tmp_path, shards):
    with pytest.raises(UserError, match="rule `unit_curvature`"):
        read_responses(written(tmp_path, shards), "k", UNITS)


@pytest.mark.parametrize("t", [1, 2, 3])
def test_it_is_added_at_every_step(tmp_path, t):
    _, plain, found, _ = made(tmp_path, noise=0.0, spread=1.0)
    added = bent(found, t)[0] - bent(plain, t)[0]
    assert relative_error(added, bent(found)[0] - bent(plain)[0]) < 1e-6
