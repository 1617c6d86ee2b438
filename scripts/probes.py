"""Probes the curvature of the clusters and joins it with the table in a low-rank expansion.

With a rank of `auto`, measured errors decide what grows in each round, and the curvature is tried
on the calibration orders after it.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import chain

from trainorder.config.sections.curvature import CurvatureConfig
from trainorder.config.sections.ladder import LadderConfig
from trainorder.curvature.build_low_rank import build_low_rank
from trainorder.curvature.curvature_counts import CurvatureCounts
from trainorder.curvature.probe_growth import ProbeGrowth
from trainorder.curvature.probe_rounds import ProbeRounds
from trainorder.curvature.probe_schedules import probe_schedules
from trainorder.curvature.probing import LARGEST, Prober
from trainorder.curvature.unit_curvature import ProbedExpansion, leading
from trainorder.evaluation.calibration_trial import CalibrationTrial
from trainorder.evaluation.costs import SELECTION, Retraining, precomputed, read_costs
from trainorder.evaluation.rank_levels import NO_GAIN, RankLevel, at_the_largest, enough
from trainorder.expansion.clusters import Clusters
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.gradient_table import opened_table
from trainorder.expansion.path import opened_path
from trainorder.storage.formats import write_json
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    config, budget = CurvatureConfig(**p["curvature"]), LadderConfig(**p["ladder"]).precompute
    key, problem, window = context.key, context.problem, context.window
    stored = Clusters.load(job.input["clusters"], key)
    clusters = stored.resized(problem.sequences, config.first_pool, p["seed"])
    schedules = probe_schedules((window.steps, window.units_per_step), window.units, p["seed"])
    counts = CurvatureCounts(
        config,
        pooled=sum(map(len, clusters.pools)),
        units=window.units,
        sequences=window.unit_size,
        goals=len(problem.goals),
        heldout=problem.corpus.heldout.shape[1],
        reduced_readouts=p["reduced_readouts"],
    )
    retraining = Retraining(window.steps * window.sequences_per_step, problem.size)
    spent = precomputed([*chain(*read_costs(job.input["spent"]).values())], retraining)
    left = (budget - spent) * retraining.sequences
    trial = CalibrationTrial.read(problem, job.input, p) if job.input["truth"] else None

    def cost() -> float:
        """Return the cost of a low-rank estimator with the probes so far and all later stages."""
        probed = precomputed([job.meter.as_dict()], retraining)
        return spent + probed + counts.after_probing / retraining.sequences

    def level(prober: Prober) -> RankLevel:
        """Return the level of the probes so far."""
        size, steps, scores = prober.size, prober.curvature.steps.tolist(), None
        before = cost()
        if trial is not None:
            _, scores = trial(f"rank {size.rank}", prober.replay())
            job.meter.move(("replay", "evaluation"), to=SELECTION)
        return RankLevel(size.rank, size.pool, steps, before, scores)

    with (
        opened_path(job.input["path"], key) as path,
        opened_table(job.input["table"], key) as table,
    ):
        expansion = Expansion(problem, context.optimizer, path, table)
        with job.meter.time("precompute"):
            prober = Prober(expansion, clusters, schedules, config.first_anchors, p["seed"])
        plan = counts.rounds(left), counts.growth(left)
        levels, reason = _probed(job, prober, *plan, level if config.rank_is_open else None)
        probed = cost()
        with job.meter.time("precompute"):
            displacements, rank = prober.displacements(), prober.curvature.rank
            model, energy_lost = build_low_rank(
                *(expansion, prober.curvature, clusters.labels, displacements, prober.metric),
                size=config.stored_rank(rank),
            )
            directions = leading(displacements, prober.metric, config.unit_directions)
    ProbedExpansion(model, prober.metric, directions, prober.length).save(job.output["probed"], key)
    following = None
    if levels:
        levels[-1] = replace(levels[-1], precompute_retrainings=probed)  # with the last check
        more = prober.size.doubling / retraining.sequences
        following = {"precompute_retrainings": probed + more}
        if reason == LARGEST:
            reason = at_the_largest(levels[-1], budget)
    write_json(
        job.output["probes"],
        {
            "study": p["study"],
            "rank": rank,
            "pool": prober.size.pool,
            "probed_steps": prober.curvature.steps.tolist(),
            "reason": reason,
            "levels": [entry.record() for entry in levels],
            "next": following,
            "rounds": [asdict(entry) for entry in prober.rounds],
            "shrinkage": [at.factors.tolist() for at in prober.curvature.at],
            "basis": len(model.basis),
            "energy_lost": energy_lost,
            "anchors": model.anchors.tolist(),
        },
    )


def _probed(
    job: Job,
    prober: Prober,
    rounds: ProbeRounds,
    growth: ProbeGrowth,
    level: Callable[[Prober], RankLevel] | None,
) -> tuple[list[RankLevel], str]:
    """Probe in rounds; return the levels of an open rank, and why the last one is the last."""
    tolerance = job.params["curvature"]["tolerance"]
    with job.meter.time("precompute"):
        prober.start(rounds)
    levels: list[RankLevel] = []
    reason = None
    while reason is None:
        if level is not None:
            levels.append(level(prober))
            print(levels[-1].as_text())
        with job.meter.time("precompute"):
            reason = NO_GAIN if enough(levels) else prober.extend(rounds, tolerance, growth)
    return levels, reason


run(main, globals().get("snakemake"))
