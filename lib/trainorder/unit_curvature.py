"""What a unit's own curvature adds to that of its cluster, in the directions that matter most.

In the leading directions W (n x P) of typical displacements, every unit's own response is measured
on a few of its sequences, and what it differs by from that of the cluster is shrunk by its noise:

    H_u d = H_c d + w_u (H_u W - H_c W)' y,    y = (W' H W)^+ (H W)' d

with the coordinates y taken in the metric of the mean curvature, as in `curvature`. All is read in
the basis of the low-rank expansion.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from trainorder.clusters import Clusters, draw_pools
from trainorder.config import CurvatureConfig
from trainorder.curvature import Responses, pseudo_inverse
from trainorder.estimators.base import Expansion
from trainorder.lowrank import LowRank
from trainorder.probes import principal
from trainorder.shrinkage import split_noise, weights


def with_unit_curvature(
    expansion: Expansion,
    model: LowRank,
    displacements: Tensor,
    metric: Tensor,
    config: CurvatureConfig,
    length: float,
    seed: int,
) -> tuple[LowRank, Tensor]:
    """Return `model` with the own curvature of each unit, and its weights w (U,).

    w is 0 for a unit that differs from its cluster by no more than noise, and 1 where there is no
    noise, because all of its sequences are taken.

    Args:
        expansion: the problem, and the path that `model` is about.
        model: the low-rank expansion of the clusters.
        displacements: (m, P), typical of replays.
        metric: (P,) as in `probes.second_moment_scale`.
        config: says how many directions, and how many sequences stand for a unit.
        length: of the finite differences.
        seed: of the draw of the sequences.

    """
    if not config.unit_directions:
        return model, torch.zeros(expansion.problem.units)
    problem, middle = expansion.problem, len(model.bends) // 2
    units = np.arange(problem.units)
    pools = Clusters(units, draw_pools(units, problem.sequences, config.unit_sequences, seed))
    centre = expansion.path.parameters(int(model.bends[middle]))
    directions = _leading(displacements, metric, config.unit_directions)
    measure = Responses(problem, pools, centre, length)
    functionals = (model.basis / metric**2).T
    halves = torch.stack(
        [measure(direction[None])[:, :, 0] @ functionals for direction in directions], dim=2
    )  # (2, U, n, q)
    inside = directions @ model.readers.T
    own = halves.mean(0) - inside @ model.cores[middle][model.labels].mT
    noise = torch.from_numpy(pools.left_out(problem.sequences)) * split_noise(
        *halves.flatten(2).double()
    )
    total = own.flatten(1).double().square().sum(1)
    belief = weights(noise, total, torch.zeros_like(noise))  # the cluster is measured apart
    share = torch.bincount(model.labels) / len(model.labels)
    mean = torch.einsum("c,cij->ij", share.to(own.dtype), model.cores[middle])
    seen = (inside @ mean.mT)[:, : inside.shape[1]]  # H W (n, r), of which the readers hold all
    return (
        replace(
            model,
            own=own * belief.to(own.dtype)[:, None, None],
            own_read=pseudo_inverse(inside @ seen.T) @ seen,
        ),
        belief,
    )


def _leading(displacements: Tensor, metric: Tensor, count: int) -> Tensor:
    """Return the leading directions (n, P), each as long as displacements reach along it."""
    directions = principal(displacements, metric, count)
    reached = (displacements * metric) @ (directions * metric).T
    return directions * reached.square().mean(0).sqrt()[:, None]
