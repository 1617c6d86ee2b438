"""The stages that estimate: one for each estimator."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.estimators.subsample import DISPLACEMENTS
from trainorder.evaluation.replaying import batch_size
from trainorder.expansion.gradient_table import HELD_NUMBERS
from trainorder.orders.order import CALIBRATION
from trainorder.planning.curvature_stages import basis_sizes, halves
from trainorder.planning.machine_speed import Operation
from trainorder.planning.sizes import Sizes, spread
from trainorder.planning.stage import HASHES_PER_STORED_BYTE, Stage, Work
from trainorder.planning.truth_stages import outcome_bytes

_MANY = 1e18  # prefixes; with more of them, no two random orders share one


def ladder_stages(s: Sizes) -> Iterator[Stage]:
    """Yield the stage that selects a size, if one is open, as if it tries all sizes."""
    for estimator in s.estimators:
        if not estimator.size_is_open:
            continue
        orders = s.estimated(estimator)[CALIBRATION]
        passes: Counter[str] = Counter()
        work: Work = defaultdict(float)
        sizes = s.ladder.sizes(s.window)
        for size in sizes:
            more, done, rows = _replay_work(s, replace(estimator, size=size), orders, 1)
            passes.update(more)
            for operation, times in done.items():
                work[operation] += times
        yield Stage(
            "ladder",
            ("manifest", "truth"),
            counts=passes,
            orders=len(sizes) * orders,
            work=work,
            files=("ladder.json", f"estimates/{estimator.name}/calibration.h5"),
            bytes=outcome_bytes(s, orders, 0),
            rows=rows,
        )


def confirming_replays(s: Sizes, orders: int) -> int:
    """Return the sequences that the estimator of an open size differentiates for `orders`, at most.

    It is 0 if the study has none.
    """
    if not any(estimator.size_is_open for estimator in s.estimators):
        return 0
    return orders * s.T * evaluated_in_a_step(s, s.ladder.sizes(s.window)[-1])


def evaluated_in_a_step(s: Sizes, size: int) -> int:
    """Return the sequences of a step that `corrected` differentiates."""
    return size if s.S == 1 else size * s.k


def estimate_stage(s: Sizes, estimator: EstimatorConfig) -> Stage:
    """Return the stage of one estimator; an open size is the largest that the ladder tries."""
    counts = s.estimated(estimator)
    orders, jobs = estimator.replayed(counts), estimator.shards(s.shards["estimate"])
    method, name = estimator.descriptor, estimator.name
    followed = s.followed(counts) if method.estimates_parameters else 0
    trained = (method.training_stage,) if method.training_stage else ()
    if method.fitted:
        after: tuple[str, ...] = ("truth", *trained)
    elif method.rule == "predict":
        [kind] = method.reads
        after = (f"{kind}/{estimator.path}",)
    else:
        after = ("ladder",) if estimator.size_is_open else ("manifest",)
    if estimator.size_is_open:
        estimator = replace(estimator, size=s.ladder.sizes(s.window)[-1])
    passes, work, rows = _replay_work(s, estimator, orders, jobs)
    if evaluated := s.stepwise_readouts(followed):
        passes["losses"] += evaluated * s.D * s.H
        work[Operation("forward", s.H)] += evaluated * s.D
    return Stage(
        f"estimate/{name}",
        after,
        jobs,
        passes,
        orders=0 if trained else orders,
        work=work,
        files=(f"estimates/{name}/[0-9]*.h5",),
        bytes=outcome_bytes(s, orders, followed),
        rows=rows,
    )


def _replay_work(
    s: Sizes, e: EstimatorConfig, orders: int, jobs: int
) -> tuple[dict[str, int], Work, float]:
    """Return the passes, the work and the parameter vectors held by an estimator's replays."""
    work: Work = defaultdict(float)
    method = e.descriptor
    if not method.estimates_parameters:
        return {}, work, 0.0
    if method.ignores_order:
        orders = jobs  # each job replays and evaluates one for all
    batches = [batch for n in spread(orders, jobs) for batch in _batches(s, n)]
    evaluated = s.E * orders
    passes = Counter({"losses": evaluated * s.D * s.H})
    work[Operation("forward", s.H)] += evaluated * s.D
    approximated = 0 if method.needs_tail else s.T - e.tail
    tail = (
        sum(gradients_of_replays(s, n, e.tail) for n in batches)
        if method.needs_tail
        else orders * e.tail
    )
    units = Counter({"gradients": round(tail * s.k)})  # differentiated as a whole
    updates = e.tail if method.needs_tail else s.T
    work[Operation("update")] += orders * s.P * (method.update_cost * updates + 1)
    work[Operation("hash")] += HASHES_PER_STORED_BYTE * jobs * s.path_bytes
    rows = (3.0 + s.M) * max(batches)
    if "table" in method.reads:
        work[Operation("hash")] += HASHES_PER_STORED_BYTE * jobs * s.table_bytes(e.path)
        rows += 3 * s.U if s.U * s.P <= HELD_NUMBERS else 0  # else read block by block
    if method.derivative_order:
        # A unit that several orders visit at the same step is differentiated once for all.
        visited = sum(s.U * (1 - (1 - s.k / s.U) ** batch) for batch in batches)
        units["gradients"] += round(approximated * visited)
        if approximated:  # each job compares H d with a difference of gradients
            units += Counter({"gradients": 3 * jobs, "hvps": jobs})
        moved = max(0, approximated - 1)  # at the first step no order is away from the path
        units["hvps"] += orders * moved * s.k
        if method.derivative_order > 1:
            units["third_derivatives"] += orders * moved * s.k
    work[Operation("gradient", s.S)] += units["gradients"]
    work[Operation("hvp", s.S)] += units["hvps"]
    work[Operation("third", s.S)] += units["third_derivatives"]
    passes.update({kind: n * s.S for kind, n in units.items()})
    if method.uses_curvature:
        q, r, anchors = basis_sizes(s, e.path)
        work[Operation("product")] += orders * approximated * s.P * (q + r)
        rows += q + 2 * anchors
    replayed = round(sum(gradients_of_replays(s, n, approximated) for n in batches))
    if e.size is not None and method.needs_run:
        evaluated = evaluated_in_a_step(s, e.size)
        passes["gradients"] += evaluated * replayed
        work[Operation("gradient", evaluated)] += replayed
        rows += s.T * s.k * (1 + e.runs)
    elif e.size is not None:
        passes["gradients"] += _subsampled(s, e, e.size, replayed, jobs, work)
        rows += s.table_anchors(e.path) * s.U
    return {kind: n for kind, n in passes.items() if n}, work, rows


def gradients_of_replays(s: Sizes, orders: int, steps: int) -> float:
    """Return how many gradients of a step random `orders` need that replay the same `steps`.

    Orders with a common prefix share them, so it is the expected number of different prefixes.
    """
    total, prefixes = 0.0, 1.0
    for step in range(steps):
        left = max(s.U - step * s.k, s.k)
        prefixes = min(prefixes * math.comb(left, s.k), _MANY)
        seen = -math.expm1(orders * math.log1p(-1 / prefixes)) if prefixes > 1 else 1.0
        total += min(orders, prefixes * seen)
    return total


def _batches(s: Sizes, orders: int) -> list[int]:
    """Return the sizes of the batches in which a job replays `orders`."""
    most = batch_size(s.P)
    return [min(most, orders - first) for first in range(0, orders, most)]


def _subsampled(s: Sizes, e: EstimatorConfig, size: int, visits: int, jobs: int, work: Work) -> int:
    """Return the sequences that `subsample` differentiates, and add the passes to `work`."""
    cached = s.table_anchors(e.path) * s.U * jobs
    work[Operation("gradient", size)] += cached
    work[Operation("gradient", size * s.k)] += visits
    checked = 0
    if 1 < size < s.S:
        checked = 2 * DISPLACEMENTS * jobs  # at both ends of each displacement
        for half in halves(size):
            work[Operation("gradient", half)] += checked
    return size * (cached + visits * s.k + checked)
