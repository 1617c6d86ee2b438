"""The stages of the low-rank curvature: probes, unit curvature, curvature and reduced model."""

from collections import defaultdict
from collections.abc import Iterator

from trainorder.curvature import build_reduced_model as reduced
from trainorder.curvature import probe_schedules as probes
from trainorder.curvature.probing import DISPLACED_STEPS
from trainorder.evaluation.replaying import batch_size
from trainorder.evaluation.verdict import MIN_CALIBRATION
from trainorder.numerics.quantize import BLOCK
from trainorder.orders.order import CALIBRATION
from trainorder.planning.machine_speed import Operation
from trainorder.planning.planned_rank import curvature_counts, planned_rounds
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
    c, anchors, most = s.curvature, s.table_anchors(path), planned_rounds(s, path).most
    rows = anchors * s.U + c.first_anchors * len(s.pools) * most
    q = min(c.stored_rank(most), rows, s.P)
    return q, min(most, q), anchors


def _probes(s: Sizes, path: str, after: tuple[str, ...]) -> Stage:
    c, clusters, rounds = s.curvature, len(s.pools), planned_rounds(s, path)
    counts, (q, r, anchors) = curvature_counts(s, path), basis_sizes(s, path)
    measured, levels = counts.pool_passes(rounds), counts.ranks(rounds)
    orders = _tried_orders(s)
    tried = orders * len(levels)
    work = Work(float, {Operation("gradient", s.H): s.D})
    for size in s.curvature_pools:
        for half in halves(size):
            work[Operation("gradient", half)] += measured
    work[Operation("forward", s.H)] += tried * s.M * s.D
    schedules = probes.SCHEDULES - 1  # the last one checks the error
    curved = len(levels) * schedules + tried  # replays with curvature
    uncurved = 2 * schedules
    at_once = max(schedules, min(orders, batch_size(s.P)))
    rows = anchors * s.U + c.first_anchors * clusters * r
    stored = FLOAT * s.P * (q + 2 * anchors + 1 + c.unit_directions)
    work[Operation("update")] += s.P * ((curved + uncurved) * s.T + 2 * measured * clusters)
    work[Operation("product")] += s.P * (
        curved * s.T * 3 * r * c.first_anchors
        + rows * (rows + 2 * r + q)  # the basis of the rows that it spans
        + c.first_anchors * clusters * r * (r + q)
        + (len(levels) + 2) * (DISPLACED_STEPS * schedules) ** 2
    )
    work[Operation("hash")] += HASHES_PER_STORED_BYTE * stored
    return Stage(
        f"probes/{path}",
        (*after, *(["truth"] if tried else [])),
        counts={"gradients": counts.probing(rounds), "losses": tried * s.M * s.D * s.H},
        orders=tried,
        work=work,
        files=(f"store/{path}/probed.h5", f"store/{path}/probes.json"),
        bytes=stored,
        rows=rows + 2 * c.first_anchors * (clusters + 1) * (r + 1) + 10 * at_once + 3 * q,
    )


def _tried_orders(s: Sizes) -> int:
    """Return the number of calibration orders that each rank is tried on."""
    orders = s.counts[CALIBRATION]
    return orders if s.curvature.rank_is_open and orders >= MIN_CALIBRATION else 0


def _unit_curvature(s: Sizes, path: str) -> Stage:
    c, (q, _, anchors) = s.curvature, basis_sizes(s, path)
    counts = curvature_counts(s, path)
    each, own = counts.unit_sequences, counts.unit_passes
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
        + FLOAT * q * (anchors * s.U + c.first_anchors * clusters * r + s.U * c.unit_directions)
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
    counts = curvature_counts(s, path)
    known, shown = s.window.readouts(s.R), s.window.readouts_along
    more = len({*shown} - {*known}) * s.M * s.D  # losses that only the explorer reads
    goals = counts.reduced_goals + more  # losses that are read along the window
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
    numbers = s.T * s.U * q + s.curvature.first_anchors * s.U * r * q
    files = {"reduced.h5": functionals - more, "reduced_along.h5": functionals}
    numbers = sum(numbers + anchors * (q + 1) * patterns * columns for columns in files.values())
    return Stage(
        f"reduced/{path}",
        (f"curvature/{path}",),
        counts={"gradients": counts.reducing + more * s.H},
        work=work,
        files=tuple(f"store/{path}/{name}" for name in files),
        bytes=FLOAT * numbers,
        rows=schedules * (anchors + 3) + 2 * functionals + q + 4 * anchors,
    )
