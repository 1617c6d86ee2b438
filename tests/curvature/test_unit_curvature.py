"""The curvature of a unit is added in proportion to how far it exceeds the noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from problems import Polynomial, barycentre, low_rank, optimizer_config, relative_error, warm_state
from trainorder.config.sections.curvature import CurvatureConfig
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
from trainorder.numerics.rows import Rows
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.training.optimizer import ALL

UNITS, SIZE, SEQUENCES, STEPS = 6, 8, 8, 4
LABELS = np.array([0, 1, 0, 1, 0, 1])
CONFIG = CurvatureConfig("domains", 5, 1, SIZE, 0.0, 10**6, SIZE, 4)


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def built(folder, config=CONFIG, **options):
    """Return the problem, the expansion without and with unit curvature, and the weights."""
    problem = Polynomial(UNITS, size=SIZE, sequences=SEQUENCES, **options)
    settings = optimizer_config()
    warm = warm_state(problem, problem.start, settings)
    clusters = Clusters(LABELS, draw_pools(LABELS, SEQUENCES, 3 * SEQUENCES, 0))
    given = np.array([0, 2, 3])
    with barycentre(problem, warm, STEPS, 1, settings, folder, clusters, given) as about:
        model, _ = low_rank(about, clusters, probes=normal(SIZE, SIZE))
        metric = second_moment_scale(about)
        directions = leading(Rows(normal(30, SIZE)), metric, config.unit_directions)
        probed = ProbedExpansion(model, metric, directions, 0.1)
        theta = about.path.parameters(probed.step)
        pools = unit_pools(problem, config.unit_sequences, 0)
        measured = [own_responses(problem, theta, probed, pools, units) for units in SHARDS]
        halves = torch.cat(measured, dim=1)
        full, weight = with_unit_curvature(probed, halves, pools.missing_shares(SEQUENCES))
    return problem, model, full, weight


SHARDS = (np.array([0, 1, 2, 3]), np.array([4, 5]))


def curvature_term(model, t=2):
    """Return H_u d of every unit (U, P), and the displacements d."""
    moves = 0.1 * normal(UNITS, SIZE, seed=3)
    units = torch.arange(UNITS)[:, None]
    return model.curvature(t, units, model.parameters(t) + moves)(ALL), moves


def exact_term(problem, moves):
    """Return the Hessian of each unit of a quadratic problem times its displacement, (U, P)."""
    return torch.einsum("uij,uj->ui", problem.square, moves)


def test_units_without_noise_get_their_own_hessian(tmp_path):
    problem, plain, full, weight = built(tmp_path, noise=0.0, spread=1.0)
    assert torch.allclose(weight, torch.ones(UNITS, dtype=weight.dtype)), f"weights {weight}"
    term, moves = curvature_term(full)
    exact = exact_term(problem, moves)
    assert relative_error(term, exact) < 1e-4, "a unit has the curvature of another unit"
    assert relative_error(curvature_term(plain)[0], exact) > 0.1, "clusters alone are exact here"


def test_pools_of_all_sequences_of_a_unit_have_no_noise(tmp_path):
    whole = replace(CONFIG, unit_sequences=SEQUENCES)
    problem, _, full, weight = built(tmp_path, whole, noise=0.5, spread=1.0)
    assert torch.allclose(weight, torch.ones(UNITS, dtype=weight.dtype)), f"weights {weight}"
    term, moves = curvature_term(full)
    assert relative_error(term, exact_term(problem, moves)) < 1e-4


def test_identical_units_keep_the_curvature_of_their_cluster(tmp_path):
    _, plain, full, weight = built(tmp_path, noise=2.0, kinds=2, spread=0.0)
    assert float(weight.max()) < 0.3, f"pure noise has a large weight: {weight}"
    change = relative_error(curvature_term(full)[0], curvature_term(plain)[0])
    assert change < 0.5, f"noise changes the curvature by the share {change:.2f}"


def test_without_directions_nothing_is_added(tmp_path):
    _, plain, full, weight = built(tmp_path, replace(CONFIG, unit_directions=0), noise=0.5)
    assert full is plain
    assert len(weight) == UNITS
    assert not weight.any()


def test_unit_curvature_is_saved_with_the_expansion(tmp_path):
    _, _, full, _ = built(tmp_path, noise=0.0, spread=1.0)
    full.save(tmp_path / "curvature.h5", "k")
    loaded = type(full).load(tmp_path / "curvature.h5", "k", full.start)
    assert torch.equal(loaded.unit_corrections, full.unit_corrections)
    assert torch.equal(loaded.unit_readers, full.unit_readers)


def test_the_probed_expansion_is_saved_without_rounding(tmp_path):
    _, plain, _, _ = built(tmp_path, noise=0.5)
    probed = ProbedExpansion(plain, normal(SIZE, seed=1), Rows(normal(2, SIZE, seed=2)), 0.1)
    probed.save(tmp_path / "probed.h5", "k")
    loaded = ProbedExpansion.load(tmp_path / "probed.h5", "k", plain.start)
    assert loaded.length == probed.length
    assert loaded.step == probed.step
    assert torch.equal(loaded.metric, probed.metric)
    assert torch.equal(loaded.directions.tensor, probed.directions.tensor)
    for name, value in vars(plain).items():
        values = [getattr(each, "tensor", each) for each in (getattr(loaded.model, name), value)]
        assert np.array_equal(*values), f"{name} was rounded or lost"


def written(folder, shards):
    """Write files of the given units, whose responses are their numbers; return the paths."""
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
def test_shards_that_are_not_all_units_in_order_raise(tmp_path, shards):
    with pytest.raises(UserError, match="rule `unit_curvature`"):
        read_responses(written(tmp_path, shards), "k", UNITS)


@pytest.mark.parametrize("t", [1, 2, 3])
def test_unit_curvature_is_the_same_at_every_step(tmp_path, t):
    _, plain, full, _ = built(tmp_path, noise=0.0, spread=1.0)
    added, expected = (
        curvature_term(full, step)[0] - curvature_term(plain, step)[0] for step in (t, 2)
    )
    assert relative_error(added, expected) < 1e-6
