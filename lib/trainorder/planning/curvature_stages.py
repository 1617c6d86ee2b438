"""The stages of the low-rank curvature: probes, unit curvature, curvature and reduced model."""

from collections import defaultdict
from collections.abc import Iterator

from trainorder.curvature import build_reduced_model as reduced
from trainorder.curvature import probe_schedules as probes
from trainorder.numerics.quantize import BLOCK
from trainorder.planning.machine_speed import Operation
from trainorder.planning.sizes import FLOAT, Sizes
from trainorder.planning.stage import HASHES_PER_STORED_BYTE, Stage, Work


def curvature_stages(s: Sizes) -> Iterator[Stage]:
    """Yield the stages of each path with curvature, and of its reduced model."""
    for path in s.paths(lambda m: m.uses_curvature):
        table = "table" if path == "reference" else "barycentre"
        yield _probes(s, path, ("clusters", table))
        yield _unit_curvature(s, path)
        yield _curvature(s, path)
    for path in s.paths(lambda m: "reduced" in m.reads):
        yield _reduced(s, path)


def basis_sizes(s: Sizes, path: str) -> tuple[int, int, int]:
    """Return the basis size q, the rank r and the anchors K of a path's low-rank expansion."""
    c, anchors = s.curvature, s.table_anchors(path)
    rows = anchors * s.U + c.anchors * len(s.pools) * c.rank
    q = min(c.basis, rows, s.P)
    return q, min(c.rank, q), anchors


def _rounds(s: Sizes) -> tuple[int, int]:
    """Return the number of error checks, and of replays, until probing reaches its rank."""
    c = s.curvature
    step = max(1, c.rank // 4)
    reached = 2 * step + min(step, 3 * s.D)
    checks = 0
    while reached < c.rank:
        left, checks = c.rank - reached, checks + 1
        reached += left if left < 2 * step else step
    return checks, 3 + checks


def _probes(s: Sizes, path: str, after: tuple[str, ...]) -> Stage:
    c, pool, clusters = s.curvature, sum(s.pools), len(s.pools)
    q, r, anchors = basis_sizes(s, path)
    checks, replays = _rounds(s)
    measured = c.anchors * (1 + c.rank) + 2 * checks  # gradients of each pool
    work = Work(float, {Operation("gradient", s.H): s.D})
    for size in s.pools:
        for half in halves(size):
            work[Operation("gradient", half)] += measured
    schedules = probes.SCHEDULES - 1  # the last one checks the error
    replayed = schedules * s.T * s.P
    rows = anchors * s.U + c.anchors * clusters * r
    stored = FLOAT * s.P * (q + 2 * anchors + 1 + c.unit_directions)
    work[Operation("update")] += replays * replayed + 2 * s.P * measured * clusters
    work[Operation("product")] += s.P * (
        (replays - 2) * schedules * s.T * 3 * r * c.anchors  # replays with curvature
        + rows * (rows + 2 * r + q)  # the basis of the rows that it spans
        + c.anchors * clusters * r * (r + q)
        + replays * (6 * schedules) ** 2
    )
    work[Operation("hash")] += HASHES_PER_STORED_BYTE * stored
    return Stage(
        f"probes/{path}",
        after,
        counts={"gradients": s.D * s.H + measured * pool},
        work=work,
        files=(f"store/{path}/probed.h5", f"store/{path}/probes.json"),
        bytes=stored,
        rows=rows + 2 * c.anchors * (clusters + 1) * (r + 1) + 10 * schedules + 3 * q,
    )


def _unit_curvature(s: Sizes, path: str) -> Stage:
    c, (q, _, anchors) = s.curvature, basis_sizes(s, path)
    each = min(c.unit_sequences, s.S)
    own = s.U * (1 + c.unit_directions) if c.unit_directions else 0
    work = Work(float)
    for half in halves(each):
        work[Operation("gradient", half)] += own
    work[Operation("update")] += 2 * s.P * own
    work[Operation("product")] += 2 * s.P * own * q
    return Stage(
        f"unit_curvature/{path}",
        (f"probes/{path}",),
        s.shards["curvature"],
        counts={"gradients": own * each},
        work=work,
        files=(f"store/{path}/units/*.h5",),
        bytes=2 * FLOAT * s.U * c.unit_directions * q,
        rows=q + 2 * anchors + c.unit_directions + 4 * s.U + 8,
    )


def _curvature(s: Sizes, path: str) -> Stage:
    c, clusters = s.curvature, len(s.pools)
    q, r, anchors = basis_sizes(s, path)
    scales = 1 + 2 * FLOAT / BLOCK
    stored = int(
        s.P * ((r + (q - r) / 2) * scales + 4 * anchors)
        + FLOAT * q * (anchors * s.U + c.anchors * clusters * r + s.U * c.unit_directions)
    )
    return Stage(
        f"curvature/{path}",
        (f"unit_curvature/{path}",),
        work={
            Operation("hash"): 2 * HASHES_PER_STORED_BYTE * stored,  # written and read back
            # The error of rounding: two gradients of each unit, unrounded and rounded.
            Operation("product"): 2 * s.P * (2 * s.U * q + (c.unit_directions + 1) * r),
        },
        files=(f"store/{path}/curvature.h5", f"store/{path}/units.json"),
        bytes=stored,
        rows=2 * (q + 2 * anchors) + c.unit_directions + 8,
    )


def halves(size: int) -> list[int]:
    """Return the sizes of the two halves of a sample; one half if `size` is 1."""
    return [half for half in ((size + 1) // 2, size // 2) if half]


def pattern_count(s: Sizes) -> int:
    """Return how many matrices a knot of the reduced model has: the preconditioner and patterns."""
    return 1 + (reduced.PATTERNS if s.optimizer.adaptive else 0)


def _reduced(s: Sizes, path: str) -> Stage:
    q, r, anchors = basis_sizes(s, path)
    goals = s.R * s.M * s.D  # losses that are read along the window
    functionals, patterns = r + goals + s.U, pattern_count(s)
    schedules = reduced.SCHEDULES if s.optimizer.adaptive else 0  # replayed
    replayed = schedules * s.T
    work: Work = defaultdict(float)
    work[Operation("gradient", s.S)] += s.U  # of every unit, and of every goal at the readouts
    work[Operation("gradient", s.H)] += goals
    work[Operation("update")] += s.P * (replayed + 3 * anchors * (schedules + functionals))
    work[Operation("product")] += s.P * (
        replayed * (r + q) + anchors * (patterns * functionals * q + schedules**2)
    )
    numbers = s.T * s.U * q + s.curvature.anchors * s.U * r * q
    numbers += anchors * (q + 1) * patterns * functionals
    return Stage(
        f"reduced/{path}",
        (f"curvature/{path}",),
        counts={"gradients": s.U * s.S + goals * s.H},
        work=work,
        files=(f"store/{path}/reduced.h5",),
        bytes=FLOAT * numbers,
        rows=schedules * (anchors + 3) + 2 * functionals + q + 4 * anchors,
    )
