"""The stages of the applications: the search for a curriculum, and memorization."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from math import ceil

from trainorder.config.estimator_names import method_of
from trainorder.config.sections.curriculum import (
    CANDIDATE_SHARDS,
    FRESH_SEEDS,
    GLOBAL,
    CurriculumConfig,
)
from trainorder.config.sections.memorization import MemorizationConfig
from trainorder.curriculum import search
from trainorder.curriculum.fresh_gains import BEST
from trainorder.curriculum.heuristic_orders import heuristic_count
from trainorder.curriculum.literature_orders import WORST, literature_count
from trainorder.evaluation.replaying import batch_size
from trainorder.memorization.moves import MOVES, order_count
from trainorder.orders.order import CALIBRATION, FIT, HELD_BACK
from trainorder.planning.curvature_stages import basis_sizes, pattern_count
from trainorder.planning.estimate_stages import confirming_replays
from trainorder.planning.machine_speed import Operation
from trainorder.planning.sizes import FLOAT, Sizes
from trainorder.planning.stage import HASHES_PER_STORED_BYTE, Stage, Work
from trainorder.planning.truth_stages import after_reference, truth_stage
from trainorder.training.optimizer import MOMENTS

_MOVES = len(MOVES)  # ways to move a unit


def curriculum_stages(s: Sizes) -> Iterator[Stage]:
    """Yield the stages of the search for a curriculum."""
    if not s.config["curriculum"]:
        return
    c = CurriculumConfig(**s.config["curriculum"])
    q, r, _ = basis_sizes(s, "barycentre")
    free = not (c.pinned or c.quotas) and c.furthest is None
    proposals = search.PROPOSALS if free else search.PROPOSALS - search.PAIR_PROPOSALS
    heuristic = heuristic_count(has_lengths=s.corpus.source != "tokens")
    heuristic += literature_count(c.literature, s.D)
    replayed = proposals + s.counts["structured"] + heuristic
    neighbours = min(c.rounds, s.U) * search.NEIGHBOURS  # until no neighbour is better
    searches = 2 if WORST in c.literature else 1
    generations = (1 + c.rounds) * search.POPULATION
    scored = searches * (c.random + search.LOCAL_SEARCHES * neighbours + generations)
    goals = s.R * s.M * s.D  # losses that are read along the window
    read = pattern_count(s) * (r + goals)
    work: Work = defaultdict(float)
    work[Operation("forward", s.S)] += 2 * s.U
    work[Operation("forward", s.H)] += replayed * goals
    work[Operation("update")] += replayed * s.T * s.P + scored * s.T * (3 * read + 2 * q)
    work[Operation("product")] += scored * s.T * q * (read + r)
    confirming = confirming_replays(s, replayed)
    if confirming:
        work[Operation("gradient", confirming // (replayed * s.T))] += replayed * s.T
    else:
        work[Operation("product")] += replayed * s.T * s.P * (q + r)
    yield Stage(
        "propose",
        ("reduced/barycentre", *(("ladder",) if confirming else ())),
        counts={
            "losses": 2 * s.U * s.S + replayed * goals * s.H,
            **({"gradients": confirming} if confirming else {}),
        },
        work=work,
        files=("curriculum/candidates.json",),
        rows=(4 + s.unfinished_means) * replayed + q,
    )
    orders = heuristic + min(c.retrained, proposals)
    if c.method != GLOBAL:
        yield _step_search(s, c)
    after = "propose" if c.method == GLOBAL else "step_search"
    yield truth_stage(s, "candidate_truth", (after,), orders, CANDIDATE_SHARDS, s.R * s.E)
    if c.fresh:
        yield from _fresh(s, c, after)


def _step_search(s: Sizes, c: CurriculumConfig) -> Stage:
    """Return the search by steps, as if it spent its whole budget on retrainings."""
    retrainings, batch = ceil(c.retrainings), s.window.sequences_per_step
    stored = retrainings * s.residual_bytes
    return Stage(
        "step_search",
        ("propose", "truth", "manifest"),
        counts={
            "losses": retrainings * s.R * s.E * s.D * s.H,
            "gradients": retrainings * s.T * batch,
        },
        orders=retrainings,
        work={
            Operation("step", batch): retrainings * s.T,
            Operation("forward", s.H): retrainings * s.R * s.E * s.D,
            Operation("hash"): HASHES_PER_STORED_BYTE * stored,
        },
        files=("curriculum/searched.json",),
        scratch=stored,
        rows=16 + s.unfinished_means,
    )


def _fresh(s: Sizes, c: CurriculumConfig, after: str) -> Iterator[Stage]:
    """Yield the fresh retrainings of searched and random orders, with their warm-up trainings."""
    batch, texts = s.window.sequences_per_step, int(s.corpus.source != "tokens")
    given = bool(s.config["model"]["source"] or s.config["run"])
    warmups = 0 if given else len(FRESH_SEEDS)
    if warmups:
        yield Stage(
            "fresh_warm",
            ("corpus",),
            warmups,
            {"gradients": warmups * s.window.warmup_steps * batch},
            work={Operation("step", batch): warmups * s.window.warmup_steps},
            files=("curriculum/fresh/warm-*.h5",),
            bytes=warmups * len(MOMENTS) * FLOAT * s.P,
            rows=8,
        )
    needed = (after, *(("fresh_warm",) if warmups else ()))
    draws = texts + warmups
    drawn = s.counts[HELD_BACK] + s.counts[CALIBRATION] + s.counts[FIT]
    orders = draws * (min(c.fresh + BEST, drawn) + c.retrained)
    stage = truth_stage(s, "fresh_truth", needed, orders, draws, s.R * s.E)
    yield replace(stage, files=("curriculum/fresh/truth-*.h5",))


def memorization_stages(s: Sizes) -> Iterator[Stage]:
    """Yield the stages that estimate and retrain moved units."""
    if not s.config["memorization"]:
        return
    m = MemorizationConfig(**s.config["memorization"])
    sampled = m.cells(s.window)
    cells = sampled + s.window.poisoned * len({0, s.T // 2, s.T - 1})
    own = s.U + _MOVES * cells  # the reference gives the loss of every unit
    yield truth_stage(
        s,
        "position_truth",
        after_reference(s),
        order_count(cells),
        min(s.shards["truth"], order_count(sampled)),
        1,
        unit_losses=own,
    )
    q, r, _ = basis_sizes(s, "barycentre")
    moved = s.U + _MOVES * s.U * s.T
    counts: dict[str, int] = {}
    work: Work = defaultdict(float)
    if method_of(m.estimator).estimates_parameters:
        counts = {"losses": moved * (s.D * s.H + s.S)}
        work[Operation("forward", s.H)] += moved * s.D
        work[Operation("forward", s.S)] += moved
        work[Operation("update")] += moved * s.T * s.P
        work[Operation("product")] += moved * s.T * s.P * (q + r)
    else:
        read = pattern_count(s) * (2 * r + s.D + s.U)
        work[Operation("product")] += moved * s.T * q * (read + 2 * r)
        work[Operation("update")] += moved * s.T * (read + 4 * q)
    yield Stage(
        "position_maps",
        ("manifest",),
        counts=counts,
        work=work,
        files=("memorization/estimated.h5",),
        bytes=8 * _MOVES * s.U * s.T * (1 + s.D),
        rows=4 * min(moved, batch_size(s.P)) + q if counts else 0.0,
    )
