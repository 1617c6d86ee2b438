"""What each stage of a study does, as far as its configuration tells: passes, numbers, bytes.

The counts are those that the jobs write to `costs/`. Beside them stands the work that time is told
by, in the units of `calibration`: the passes, and what replays and products of matrices add.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from trainorder.compression.codec import DenseTable
from trainorder.compression.codecs import all_codecs
from trainorder.compression.comparison import LARGEST_BYTES
from trainorder.compression.comparison import ORDERS as COMPARED
from trainorder.compression.factored import Factored
from trainorder.compression.factored_int8 import FactoredInt8
from trainorder.config.estimator_names import method_of
from trainorder.config.sections import (
    CurriculumConfig,
    EstimatorConfig,
    MemorizationConfig,
    RunConfig,
    WindowConfig,
)
from trainorder.curvature import probing as probes
from trainorder.curvature import reduction as reduced
from trainorder.evaluation.replaying import BATCH_NUMBERS
from trainorder.expansion.gradient_table import HELD_NUMBERS
from trainorder.numerics.quantize import BLOCK
from trainorder.planning.machine_speed import Unit
from trainorder.planning.sizes import FLOAT, Sizes, spread
from trainorder.training.existing_run.checkpoint_files import checked_spans, window_checkpoints
from trainorder.training.optimizer import MOMENTS

Work = defaultdict[Unit, float]
# Measured on the default study (the mean of two machines). Passes over a table that is held as
# factors, in products with one; a byte of the store that is read or written, seal and checksums
# included, in bytes hashed.
_FACTORED = 5  # sketched, projected, its error estimated; decoded, and in inner products
_STORED = 4
_KEPT = 3  # times that a trainer's states pass: kept, read again, published
_STORE_STAGES = ("reference", "table", "barycentre", "curvature", "reduced")
_PROPOSALS, _FIELD, _WAYS = 8, 6, 3  # of a search, of others, of moving a unit
_NEIGHBOURS, _BRED, _CLIMBS = 512, 200, 4  # scored at once by the search; local searches


@dataclass(frozen=True)
class Stage:
    """What one stage does, all its jobs together.

    Attributes:
        name: as in `costs.json`.
        after: the stages that its jobs wait for.
        jobs: how many share the work.
        counts: passes, as the jobs count them.
        retrainings: real trainings of the window, of the study's model.
        work: numbers of each unit of `calibration`.
        files: patterns of the files that it leaves, below the results.
        bytes: of these files.
        scratch: bytes on disk that its jobs need until they are done.
        rows: vectors of all parameters that a job has at once, in memory or in files for a while.

    """

    name: str
    after: tuple[str, ...] = ()
    jobs: int = 1
    counts: Mapping[str, int] = field(default_factory=dict)
    retrainings: int = 0
    work: Mapping[Unit, float] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    bytes: int = 0
    scratch: int = 0
    rows: float = 0.0


def stages(sizes: Sizes) -> list[Stage]:
    """Return the stages of a study, each after those that it waits for."""
    return [
        *_training(sizes),
        *_expansion(sizes),
        *_low_rank(sizes),
        _manifest(sizes),
        *_truths(sizes),
        *(_estimate(sizes, estimator) for estimator in sizes.estimators),
        *_stores(sizes),
        *_curriculum(sizes),
        *_memorization(sizes),
    ]


def _training(s: Sizes) -> Iterator[Stage]:
    batch, length = s.window.sequences_per_step, s.corpus.sequence_length
    # an existing run is read, and checked by some of its steps
    run = RunConfig(**s.config["run"]) if s.config["run"] else None
    warmup = 0 if run else s.window.warmup_steps
    steps = _checked_steps(run, s.window) if run else s.T
    sequences = warmup * batch + s.U * s.S + s.D * s.H
    files = ("corpus.h5", "corpus.json", "tokenizer/*")
    yield Stage("corpus", files=files, bytes=FLOAT * sequences * length)
    yield Stage(
        "warm",
        ("corpus",),
        counts={"gradients": warmup * s.k},
        work={Unit("step", batch): warmup},
        files=("store/warm.h5",),
        bytes=len(MOMENTS) * FLOAT * s.P,
        rows=8,
    )
    yield Stage(
        "orders",
        ("warm",),
        counts={"forwards": s.U},
        work={Unit("forward", s.S): s.U},
        files=("orders.json",),
        rows=8,
    )
    yield Stage(
        "reference",
        ("orders",),
        counts={"gradients": steps * s.k},
        retrainings=0 if run else 1,
        work={Unit("step", batch): steps, Unit("hash"): _KEPT * _STORED * s.path_bytes},
        files=("store/reference/path.h5",),
        bytes=s.path_bytes,
        scratch=s.path_bytes,
        rows=12,
    )


def _expansion(s: Sizes) -> Iterator[Stage]:
    curved = s.paths(lambda m: m.uses_curvature)
    if "reference" in s.paths(lambda m: m.uses_table):
        gradients = s.reference_anchors * s.U
        yield Stage(
            "table",
            ("reference",),
            s.shards["table"],
            {"gradients": gradients},
            work={
                Unit("gradient", s.S): gradients,
                Unit("hash"): _STORED * s.table_bytes("reference"),
            },
            files=("store/reference/table-*.h5",),
            bytes=s.table_bytes("reference"),
            rows=8,
        )
    barycentre = "barycentre" in s.paths(lambda m: m.takes_path)
    if barycentre or curved:
        by_gradients = s.U if isinstance(s.curvature.clusters, int) else 0
        yield Stage(
            "clusters",
            ("warm",),
            counts={"gradients": by_gradients},
            work={Unit("gradient", s.S): by_gradients},
            files=("store/clusters.h5",),
        )
    if barycentre:
        yield _barycentre(s)


def _barycentre(s: Sizes) -> Stage:
    pooled = 0 if s.expansion.anchors == "all" else s.T - 1 + s.anchors
    gradients, made = s.anchors * s.U, s.path_bytes + s.table_bytes("barycentre")
    work = Work(float, {Unit("gradient", s.S): gradients})
    for pool in s.pools:
        for part in np.array_split(np.arange(pool), min(4, pool)):
            work[Unit("gradient", len(part))] += pooled
    # the moments, in double precision: of the pools' parts, and of the units at anchors
    work[Unit("update")] += s.P * (4 * len(s.pools) * pooled + gradients)
    work[Unit("hash")] += _KEPT * _STORED * made
    return Stage(
        "barycentre",
        ("clusters",),
        counts={"gradients": gradients, "sequences": pooled * sum(s.pools)},
        work=work,
        files=("store/barycentre/path.h5", "store/barycentre/table-0.h5"),
        bytes=made,
        scratch=made,
        rows=18 + 7 * len(s.pools),
    )


def _low_rank(s: Sizes) -> Iterator[Stage]:
    for path in s.paths(lambda m: m.uses_curvature):
        table = "table" if path == "reference" else "barycentre"
        yield _probes(s, path, ("clusters", table))
        yield _unit_curvature(s, path)
        yield _curvature(s, path)
    for path in s.paths(lambda m: "reduced" in m.reads):
        yield _reduced(s, path)


def _basis(s: Sizes, path: str) -> tuple[int, int, int]:
    """Return q, r and K of a path's low-rank expansion."""
    c, anchors = s.curvature, s.table_anchors(path)
    rows = anchors * s.U + c.anchors * len(s.pools) * c.rank
    q = min(c.basis, rows, s.P)
    return q, min(c.rank, q), anchors


def _rounds(s: Sizes) -> tuple[int, int]:
    """Return how often the error is checked and the replays are made before the rank is reached."""
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
    q, r, anchors = _basis(s, path)
    checks, replays = _rounds(s)
    measured = c.anchors * (1 + c.rank) + 2 * checks  # gradients of every pool
    work = Work(float, {Unit("gradient", s.H): s.D})
    for size in s.pools:
        for half in _halves(size):
            work[Unit("gradient", half)] += measured
    schedules = probes.SCHEDULES - 2
    replayed = schedules * s.T * s.P
    rows = anchors * s.U + c.anchors * clusters * r
    kept = FLOAT * s.P * (q + 2 * anchors + 1 + c.unit_directions)
    work[Unit("update")] += replays * replayed + 2 * s.P * measured * clusters
    work[Unit("product")] += s.P * (
        (replays - 2) * schedules * s.T * 3 * r * c.anchors  # replays with the curvature
        + rows * (rows + 2 * r + q)  # the basis, from what it is to span
        + c.anchors * clusters * r * (r + q)
        + replays * (6 * schedules) ** 2
    )
    work[Unit("hash")] += _STORED * kept
    return Stage(
        f"probes/{path}",
        after,
        counts={"goals": s.D, "sequences": measured * pool},
        work=work,
        files=(f"store/{path}/probed.h5", f"store/{path}/probes.json"),
        bytes=kept,
        rows=rows + 2 * c.anchors * (clusters + 1) * (r + 1) + 10 * schedules + 3 * q,
    )


def _unit_curvature(s: Sizes, path: str) -> Stage:
    c, (q, _, anchors) = s.curvature, _basis(s, path)
    each = min(c.unit_sequences, s.S)
    own = s.U * (1 + c.unit_directions) if c.unit_directions else 0
    work = Work(float)
    for half in _halves(each):
        work[Unit("gradient", half)] += own
    work[Unit("update")] += 2 * s.P * own
    work[Unit("product")] += 2 * s.P * own * q
    return Stage(
        f"unit_curvature/{path}",
        (f"probes/{path}",),
        s.shards["curvature"],
        counts={"sequences": own * each},
        work=work,
        files=(f"store/{path}/units/*.h5",),
        bytes=2 * FLOAT * s.U * c.unit_directions * q,
        rows=q + 2 * anchors + c.unit_directions + 4 * s.U + 8,
    )


def _curvature(s: Sizes, path: str) -> Stage:
    c, clusters = s.curvature, len(s.pools)
    q, r, anchors = _basis(s, path)
    scales = 1 + 2 * FLOAT / BLOCK
    made = int(
        s.P * ((r + (q - r) / 2) * scales + 4 * anchors)
        + FLOAT * q * (anchors * s.U + c.anchors * clusters * r + s.U * c.unit_directions)
    )
    return Stage(
        f"curvature/{path}",
        (f"unit_curvature/{path}",),
        work={
            Unit("hash"): 2 * _STORED * made,  # and read back
            # what rounding costs: of every unit two gradients, unrounded and rounded
            Unit("product"): 2 * s.P * (2 * s.U * q + (c.unit_directions + 1) * r),
        },
        files=(f"store/{path}/curvature.h5", f"store/{path}/units.json"),
        bytes=made,
        rows=2 * (q + 2 * anchors) + c.unit_directions + 8,
    )


def _halves(size: int) -> list[int]:
    return [half for half in ((size + 1) // 2, size // 2) if half]


def _patterns(s: Sizes) -> int:
    """Return the matrices of a knot of the reduced model: the preconditioner and its patterns."""
    return 1 + (reduced.PATTERNS if s.optimizer.adaptive else 0)


def _reduced(s: Sizes, path: str) -> Stage:
    q, r, anchors = _basis(s, path)
    functionals, patterns = r + s.R * s.D + s.U, _patterns(s)
    schedules = reduced.SCHEDULES if s.optimizer.adaptive else 0  # that are replayed
    replayed = schedules * s.T
    work: Work = defaultdict(float)
    for kind in ("gradient", "forward"):
        work[Unit(kind, s.S)] += s.U
        work[Unit(kind, s.H)] += s.R * s.D
    work[Unit("update")] += s.P * (replayed + 3 * anchors * (schedules + functionals))
    work[Unit("product")] += s.P * (
        replayed * (r + q) + anchors * (patterns * functionals * q + schedules**2)
    )
    numbers = s.T * s.U * q + s.curvature.anchors * s.U * r * q
    numbers += anchors * (q + 1) * patterns * functionals
    return Stage(
        f"reduced/{path}",
        (f"curvature/{path}",),
        counts={"goals": s.R * s.D, "gradients": s.U},
        work=work,
        files=(f"store/{path}/reduced.h5",),
        bytes=FLOAT * numbers,
        rows=schedules * (anchors + 3) + 2 * functionals + q + 4 * anchors,
    )


def _manifest(s: Sizes) -> Stage:
    made = [*_training(s), *_expansion(s), *_low_rank(s)]
    kept = [stage for stage in made if stage.name.split("/")[0] in _STORE_STAGES]
    return Stage(
        "manifest",
        tuple(stage.name for stage in kept),
        work={Unit("hash"): sum(stage.bytes for stage in kept)},
        files=("store/manifest.json",),
    )


def _truths(s: Sizes) -> Iterator[Stage]:
    orders, after = sum(s.counts.values()), _after_reference(s)
    yield _truth(s, "truth", after, orders, s.shards["truth"], s.R, s.followed(s.counts))
    proxies = [e for e in s.estimators if e.descriptor.training_stage]
    if not proxies:
        return
    batch, steps = s.window.sequences_per_step, s.window.warmup_steps
    yield Stage(
        "proxy_warm",
        ("corpus",),
        counts={"gradients": steps * s.k},
        work={Unit("step", batch, narrow=True): steps},
        files=("proxy/warm.h5",),
        bytes=len(MOMENTS) * FLOAT * s.narrow_P,
        rows=8,
    )
    orders = s.counts["fit"] + sum(s.estimated(proxies[0]).values())
    yield Stage(
        "proxy_orders",
        ("proxy_warm", "orders"),
        s.shards["truth"],
        {"forwards": orders * s.D, "gradients": orders * s.T * s.k, "orders": orders},
        work={
            Unit("step", batch, narrow=True): orders * s.T,
            Unit("forward", s.H, narrow=True): orders * s.D,
        },
        files=("proxy/[0-9]*.h5",),
        bytes=8 * orders * (s.T + s.U),
        rows=8,
    )


def _checked_steps(run: RunConfig, window: WindowConfig) -> int:
    kept = window_checkpoints(run.checkpoints, window)
    return sum(end - start for start, end in checked_spans(kept, window.steps))


def _after_reference(s: Sizes) -> tuple[str, ...]:
    """Return the stages before one that has a truth of the order `reference`."""
    return ("reference",) if s.config["run"] else ("orders",)


def _truth(
    s: Sizes,
    name: str,
    after: tuple[str, ...],
    orders: int,
    jobs: int,
    readouts: int,
    followed: int = 0,
) -> Stage:
    folder = {"candidate_truth": "curriculum/", "position_truth": "memorization/"}.get(name, "")
    read = int("reference" in after)  # of an existing run, whose losses are taken along it
    trained, losses = orders - read, read * s.T * s.k
    work = Work(float, {Unit("step", s.window.sequences_per_step): trained * s.T})
    work[Unit("forward", s.H)] += orders * readouts * s.D
    work[Unit("forward", s.S)] += losses
    work[Unit("hash")] += 2 * read * _STORED * s.path_bytes
    return Stage(
        name,
        after,
        jobs,
        {
            "forwards": orders * readouts * s.D + losses,
            "gradients": trained * s.T * s.k,
            "orders": trained,
        },
        retrainings=trained,
        work=work,
        files=(f"{folder}truth/*.h5",),
        bytes=_outcome_bytes(s, orders, followed) + 8 * orders * (s.T + s.U),
        rows=16,
    )


def _outcome_bytes(s: Sizes, orders: int, followed: int) -> int:
    rows: int = s.config["sketch_rows"]
    return FLOAT * rows * (orders + followed * (s.T + 1))


def _estimate(s: Sizes, estimator: EstimatorConfig) -> Stage:
    counts = s.estimated(estimator)
    orders, jobs = sum(counts.values()), estimator.shards(s.shards["estimate"])
    method = estimator.descriptor
    followed = s.followed(counts) if method.estimates_parameters else 0
    trained = (method.training_stage,) if method.training_stage else ()
    if method.fitted:
        after: tuple[str, ...] = ("truth", *trained)
    elif method.rule == "predict":
        after = (f"reduced/{estimator.path}",)
    else:
        after = ("manifest",)
    passes, work, rows = _replayed(s, estimator, orders, jobs)
    return Stage(
        f"estimate/{estimator.name}",
        after,
        jobs,
        {**passes, **({} if trained else {"orders": orders})},
        work=work,
        files=(f"estimates/{estimator.name}/*.h5",),
        bytes=_outcome_bytes(s, orders, followed),
        rows=rows,
    )


def _replayed(
    s: Sizes, e: EstimatorConfig, orders: int, jobs: int
) -> tuple[dict[str, int], Work, float]:
    """Return the passes, the work and the vectors held of an estimator's replays."""
    work: Work = defaultdict(float)
    method = e.descriptor
    if not method.estimates_parameters:
        return {}, work, 0.0
    batches = [batch for n in spread(orders, jobs) for batch in _batches(s, n)]
    evaluated = len(batches) if method.ignores_order else orders
    passes = Counter({"forwards": evaluated * s.D})
    work[Unit("forward", s.H)] += evaluated * s.D
    approximated = 0 if method.needs_tail else s.T - e.tail
    passes["gradients"] += orders * e.tail * s.k
    updates = e.tail if method.needs_tail else s.T
    work[Unit("update")] += orders * s.P * (method.update_cost * updates + 1)
    work[Unit("hash")] += _STORED * jobs * s.path_bytes
    rows = 4.0 * max(batches)
    if "table" in method.reads:
        work[Unit("hash")] += _STORED * jobs * s.table_bytes(e.path)
        rows += 3 * s.U if s.U * s.P <= HELD_NUMBERS else 0  # else read a block at a time
    if method.derivative_order:
        # a unit that several orders visit at a step is differentiated once for all of them
        visited = sum(s.U * (1 - (1 - s.k / s.U) ** batch) for batch in batches)
        passes["gradients"] += round(approximated * visited)
        passes["hvps"] += orders * approximated * s.k
        if method.derivative_order > 1:
            passes["third_derivatives"] += orders * approximated * s.k
    work[Unit("gradient", s.S)] += passes["gradients"]
    work[Unit("hvp", s.S)] += passes["hvps"]
    work[Unit("third", s.S)] += passes["third_derivatives"]
    if method.uses_curvature:
        q, r, anchors = _basis(s, e.path)
        work[Unit("product")] += orders * approximated * s.P * (q + r)
        rows += q + 2 * anchors
    if e.size is not None:
        passes["sequences"] += _subsampled(s, e, e.size, orders * approximated, jobs, work)
        rows += s.table_anchors(e.path) * s.U
    return {kind: n for kind, n in passes.items() if n}, work, rows


def _batches(s: Sizes, orders: int) -> list[int]:
    """Return how many orders a job replays at a time."""
    most = _at_once(s)
    return [min(most, orders - first) for first in range(0, orders, most)]


def _at_once(s: Sizes) -> int:
    """Return how many orders are replayed at a time at most."""
    return max(1, BATCH_NUMBERS // s.P)


def _subsampled(s: Sizes, e: EstimatorConfig, size: int, visits: int, jobs: int, work: Work) -> int:
    """Return the sequences that `subsample` differentiates, and add the passes to `work`."""
    cached = s.table_anchors(e.path) * s.U * jobs
    work[Unit("gradient", size)] += cached
    work[Unit("gradient", size * s.k)] += visits
    believed = 0
    if 1 < size < s.S:
        believed = 12 * jobs  # at both ends of six displacements
        for half in _halves(size):
            work[Unit("gradient", half)] += believed
    return size * (cached + visits * s.k + believed)


def _stores(s: Sizes) -> Iterator[Stage]:
    if "reference" not in s.paths(lambda m: m.uses_table):
        return
    rows = min(s.reference_anchors, LARGEST_BYTES // (s.U * s.P * FLOAT))
    if rows < 2:  # too large a table to compare
        yield Stage("stores", ("manifest",), files=("stores.json",))
        return
    steps = s.T if rows == s.reference_anchors else rows
    table = object.__new__(DenseTable)  # only the shape of its table is asked for
    table.gradient = torch.empty(rows, s.U, s.P, device="meta")
    codecs = all_codecs(table)
    stores, coded = 1 + len(codecs), rows * s.U
    inner = (codec.inner if isinstance(codec, FactoredInt8) else codec for codec in codecs)
    rank = sum(codec.rank for codec in inner if isinstance(codec, Factored))
    forwards = stores * min(COMPARED, sum(s.counts.values()) - 1) * s.D
    yield Stage(
        "stores",
        ("manifest",),
        counts={"forwards": forwards},
        work={
            Unit("forward", s.H): forwards,
            Unit("hash"): _STORED * s.table_bytes("reference"),
            # encoded, decoded, compared with the table; replayed
            Unit("update"): stores * s.P * (3 * coded + COMPARED * steps),
            Unit("product"): s.P * coded * (coded + stores * s.U + _FACTORED * rank),
        },
        files=("stores.json",),
        rows=2.5 * rows * s.U,
    )


def _curriculum(s: Sizes) -> Iterator[Stage]:
    if not s.config["curriculum"]:
        return
    c = CurriculumConfig(**s.config["curriculum"])
    q, r, _ = _basis(s, "barycentre")
    free = not (c.pinned or c.quotas) and c.furthest is None
    proposals = _PROPOSALS if free else _PROPOSALS - 2  # pairs of units know no constraints
    field = _FIELD - (2 if s.corpus.source == "tokens" else 0)  # none by length without text
    replayed = proposals + s.counts["structured"] + field
    climbed = min(c.rounds, s.U) * _NEIGHBOURS  # until no neighbour is better
    scored = c.random + _CLIMBS * climbed + (1 + c.rounds) * _BRED
    read = _patterns(s) * (r + s.R * s.D)
    work: Work = defaultdict(float)
    work[Unit("forward", s.S)] += 2 * s.U
    work[Unit("forward", s.H)] += replayed * s.R * s.D
    work[Unit("update")] += replayed * s.T * s.P + scored * s.T * (3 * read + 2 * q)
    work[Unit("product")] += replayed * s.T * s.P * (q + r) + scored * s.T * q * (read + r)
    yield Stage(
        "propose",
        ("reduced/barycentre",),
        counts={"forwards": 2 * s.U + replayed * s.R * s.D},
        work=work,
        files=("curriculum/candidates.json",),
        rows=4 * replayed + q,
    )
    orders = field + min(c.retrained, proposals)
    yield _truth(s, "candidate_truth", ("propose",), orders, 2, s.R)


def _memorization(s: Sizes) -> Iterator[Stage]:
    if not s.config["memorization"]:
        return
    m = MemorizationConfig(**s.config["memorization"])
    cells = min(m.retrained, s.U * s.T)
    orders = 1 + _WAYS * cells
    yield _truth(s, "position_truth", _after_reference(s), orders, s.shards["truth"], 1)
    q, r, _ = _basis(s, "barycentre")
    moved = s.U + _WAYS * s.U * s.T
    counts: dict[str, int] = {}
    work: Work = defaultdict(float)
    if method_of(m.estimator).estimates_parameters:
        counts = {"forwards": moved * s.D}
        work[Unit("forward", s.H)] += moved * s.D
        work[Unit("forward", s.S)] += moved
        work[Unit("update")] += moved * s.T * s.P
        work[Unit("product")] += moved * s.T * s.P * (q + r)
    else:
        read = _patterns(s) * (2 * r + s.D + s.U)
        work[Unit("product")] += moved * s.T * q * (read + 2 * r)
        work[Unit("update")] += moved * s.T * (read + 4 * q)
    yield Stage(
        "position_maps",
        ("manifest",),
        counts=counts,
        work=work,
        files=("memorization/estimated.h5",),
        bytes=8 * _WAYS * s.U * s.T * (1 + s.D),
        rows=4 * min(moved, _at_once(s)) + q if counts else 0.0,
    )
