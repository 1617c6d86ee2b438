"""The stages of the expansion: gradient table, residuals, clusters and barycentre."""

from collections.abc import Iterator

import numpy as np

from trainorder.expansion.pools import PARTS
from trainorder.planning.machine_speed import Operation
from trainorder.planning.sizes import Sizes
from trainorder.planning.stage import HASHES_PER_STORED_BYTE, STATE_PASSES, Stage, Work


def expansion_stages(s: Sizes) -> Iterator[Stage]:
    """Yield the stages `table`, `residuals`, `clusters`, `barycentre` that an estimator uses."""
    curved = s.paths(lambda m: m.uses_curvature)
    if "reference" in s.paths(lambda m: m.uses_table):
        gradients = s.reference_anchors * s.U
        yield Stage(
            "table",
            ("reference",),
            s.shards["table"],
            {"gradients": gradients * s.S},
            work={
                Operation("gradient", s.S): gradients,
                Operation("hash"): HASHES_PER_STORED_BYTE * s.table_bytes("reference"),
            },
            files=("store/reference/table-*.h5",),
            bytes=s.table_bytes("reference"),
            rows=8,
        )
    if s.paths(lambda m: m.needs_run):
        yield _residuals(s)
    barycentre = "barycentre" in s.paths(lambda m: m.takes_path)
    if barycentre or curved:
        by_gradients = s.U if isinstance(s.curvature.clusters, int) else 0
        yield Stage(
            "clusters",
            ("warm",),
            counts={"gradients": by_gradients * s.S},
            work={Operation("gradient", s.S): by_gradients},
            files=("store/clusters.h5",),
        )
    if barycentre:
        yield _barycentre(s)


def _residuals(s: Sizes) -> Stage:
    sizes = s.residual_sizes
    visits = s.T * s.k  # of a run that consumes every unit
    work = Work(float)
    for part in s.residual_parts:
        work[Operation("gradient", part)] += visits
    stored = s.residual_bytes
    work[Operation("hash")] += HASHES_PER_STORED_BYTE * (s.path_bytes + stored)
    return Stage(
        "residuals",
        ("reference",),
        counts={"gradients": visits * s.S},
        work=work,
        files=("store/reference/residuals.h5",),
        bytes=stored,
        rows=visits * len(sizes) + len(sizes) + 5,
    )


def _barycentre(s: Sizes) -> Stage:
    pooled = 0 if s.expansion.anchors == "all" else s.T
    gradients, stored = s.measured_anchors * s.U, s.path_bytes + s.table_bytes("barycentre")
    work = Work(float, {Operation("gradient", s.S): gradients})
    for pool in s.pools:
        for part in np.array_split(np.arange(pool), min(PARTS, pool)):
            work[Operation("gradient", len(part))] += pooled
    # Moments in double precision: of the parts of the pools, and of the units at the anchors.
    work[Operation("update")] += s.P * (4 * len(s.pools) * pooled + s.anchors * s.U)
    work[Operation("hash")] += STATE_PASSES * HASHES_PER_STORED_BYTE * stored
    return Stage(
        "barycentre",
        ("clusters",),
        counts={"gradients": gradients * s.S + pooled * sum(s.pools)},
        work=work,
        files=("store/barycentre/path.h5", "store/barycentre/table-0.h5"),
        bytes=stored,
        scratch=stored,
        rows=18 + 7 * len(s.pools),
    )
