"""The largest rank that the curvature of a path may reach, from the planned costs before it."""

from trainorder.curvature.curvature_counts import CurvatureCounts
from trainorder.curvature.probe_rounds import ProbeRounds
from trainorder.evaluation.costs import stages_before_probing
from trainorder.planning.expansion_stages import expansion_stages
from trainorder.planning.sizes import Sizes
from trainorder.planning.training_stages import training_stages
from trainorder.training.passes import PRODUCTS, products


def curvature_counts(s: Sizes, path: str) -> CurvatureCounts:
    """Return what decides how many sequences the curvature of a path differentiates."""
    reduced = path in s.paths(lambda m: "reduced" in m.reads)
    return CurvatureCounts(
        s.curvature,
        pooled=sum(s.curvature_pools),
        units=s.U,
        sequences=s.S,
        goals=s.D,
        heldout=s.H,
        reduced_readouts=s.R * s.M if reduced else None,
    )


def planned_rounds(s: Sizes, path: str) -> ProbeRounds:
    """Return the rounds of probing a path up to the largest rank, which probing may not reach."""
    return curvature_counts(s, path).rounds(_budget(s, path))


def assumed_rank(s: Sizes, path: str) -> str:
    """Return in words which rank the plan assumes for a path, and why."""
    counts, rounds = curvature_counts(s, path), planned_rounds(s, path)
    if not s.curvature.rank_is_open:
        why = "curvature.rank"
    elif counts.probing(rounds) + counts.after_probing > _budget(s, path):
        why = f"the smallest one: other stages alone cost more than {s.ladder.precompute:g}"
        why += " retrainings, ladder.precompute"
    else:
        why = f"which ladder.precompute allows ({s.ladder.precompute:g} retrainings)"
        if s.curvature.pool_is_open or s.curvature.anchors_are_open:
            why += " if pools and probed steps do not grow"
    return (
        f"the curvature along the {path} path is probed to its largest rank, {rounds.most}, {why}"
    )


def _budget(s: Sizes, path: str) -> float:
    """Return the sequences of `ladder.precompute` that the stages before probing leave."""
    names = stages_before_probing(path)
    before = [stage for stage in (*training_stages(s), *expansion_stages(s)) if stage.name in names]
    spent = sum(products(stage.counts) for stage in before) / PRODUCTS["gradients"]
    return s.ladder.precompute * s.window.steps * s.window.sequences_per_step - spent
