"""Probes the curvature of the clusters and joins it with the table in a low-rank expansion."""

from dataclasses import asdict

from trainorder.config.sections import CurvatureConfig
from trainorder.curvature.build_low_rank import build_low_rank
from trainorder.curvature.probe_schedules import probe_schedules
from trainorder.curvature.probing import Prober
from trainorder.curvature.unit_curvature import ProbedExpansion, leading
from trainorder.expansion.clusters import Clusters
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.gradient_table import opened_table
from trainorder.expansion.path import opened_path
from trainorder.storage.formats import write_json
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    context, config = Context(job), CurvatureConfig(**job.params["curvature"])
    key, problem, window = context.key, context.problem, context.window
    clusters = Clusters.load(job.input["clusters"], key)
    schedules = probe_schedules(
        (window.steps, window.units_per_step), window.units, job.params["seed"]
    )
    with (
        opened_path(job.input["path"], key) as path,
        opened_table(job.input["table"], key) as table,
    ):
        expansion = Expansion(problem, context.optimizer, path, table)
        with job.meter.time("precompute"):
            prober = Prober(expansion, clusters, schedules, config.anchors)
            curvature = prober.run(config)
            displacements = prober.displacements()
            model, energy_lost = build_low_rank(
                expansion, curvature, clusters.labels, displacements, prober.metric, config.basis
            )
            directions = leading(displacements, prober.metric, config.unit_directions)
    ProbedExpansion(model, prober.metric, directions, prober.length).save(job.output["probed"], key)
    write_json(
        job.output["probes"],
        {
            "rounds": [asdict(entry) for entry in prober.rounds],
            "shrinkage": [at.factors.tolist() for at in curvature.at],
            "basis": len(model.basis),
            "energy_lost": energy_lost,
            "anchors": model.anchors.tolist(),
        },
    )


run(main, globals().get("snakemake"))
