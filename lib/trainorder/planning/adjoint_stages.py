"""The stages of the adjoint: one backward sweep for each path that it expands about."""

from collections import defaultdict
from collections.abc import Iterator

from trainorder.planning.machine_speed import Operation
from trainorder.planning.sizes import Sizes
from trainorder.planning.stage import HASHES_PER_STORED_BYTE, Stage, Work


def adjoint_stages(s: Sizes) -> Iterator[Stage]:
    """Yield the stage `effects/<path>` of each path."""
    for path in s.paths(lambda m: "effects" in m.reads):
        yield _effects(s, path)


def _effects(s: Sizes, path: str) -> Stage:
    reference = path == "reference"
    parts = [s.S] * s.k if reference else s.pools  # what a step of the path differentiates
    losses, curved = s.M * s.D, s.T - 1  # the first step needs no curvature
    work: Work = defaultdict(float)
    work[Operation("gradient", s.H)] += losses
    work[Operation("gradient", s.S)] += 3  # H d is compared with a difference of gradients
    work[Operation("hvp", s.S)] += 1
    for part in parts:
        work[Operation("gradient", part)] += curved
        work[Operation("hvp", part)] += curved * losses
    work[Operation("update")] += s.T * s.P * 2 * losses
    work[Operation("product")] += s.T * s.P * s.U * losses * (1 if reference else 2)
    stored = s.path_bytes + s.table_bytes(path)
    work[Operation("hash")] += HASHES_PER_STORED_BYTE * stored
    return Stage(
        f"effects/{path}",
        ("table",) if reference else ("barycentre",),
        counts={
            "gradients": losses * s.H + 3 * s.S + curved * sum(parts),
            "hvps": s.S + curved * losses * sum(parts),
        },
        work=work,
        files=(f"store/{path}/effects.h5",),
        bytes=8 * (s.T * (s.U + 1) + 1) * losses,
        rows=8 * losses + len(parts) + 2 * s.U + 8,
    )
