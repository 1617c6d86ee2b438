"""Probes the curvature of the clusters along a path, and compresses it with the gradient table."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from trainorder.config.sections import CurvatureConfig, OptimizerConfig, WindowConfig
from trainorder.curvature.low_rank import compress
from trainorder.curvature.probing import Prober, probe_schedules
from trainorder.curvature.unit_curvature import ProbedExpansion, leading
from trainorder.expansion.clusters import Clusters
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.gradient_table import Table
from trainorder.expansion.path import StoredPath
from trainorder.storage.formats import write_json
from trainorder.storage.manifest import RULES
from trainorder.storage.sealed_hdf5 import opened
from trainorder.training.optimizer import build_optimizer
from trainorder.training.problem import LanguageProblem
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    window, config = WindowConfig(**p["window"]), CurvatureConfig(**p["curvature"])
    clusters = Clusters.load(job.input["clusters"], p["key"])
    schedules = probe_schedules((window.steps, window.units_per_step), window.units, p["seed"])
    store = Path(job.input["path"]).parent.name
    rules = {kind: RULES[store, kind] for kind in ("path", "table")}
    with ExitStack() as stack:
        path = stack.enter_context(opened(job.input["path"], p["key"], rules["path"]))
        tables = [
            stack.enter_context(opened(f, p["key"], rules["table"])) for f in job.input["table"]
        ]
        optimizer = build_optimizer(OptimizerConfig(**p["optimizer"]), window.horizon)
        expansion = Expansion(problem, optimizer, StoredPath(path), Table(tables))
        with job.meter.time("precompute"):
            prober = Prober(expansion, clusters, schedules, config.anchors)
            curvature = prober.run(config)
            reached = prober.displacements()
            model, lost = compress(
                expansion, curvature, clusters.labels, reached, prober.metric, config.basis
            )
            directions = leading(reached, prober.metric, config.unit_directions)
    ProbedExpansion(model, prober.metric, directions, prober.length).save(
        job.output["probed"], p["key"]
    )
    write_json(
        job.output["probes"],
        {
            "rounds": [asdict(entry) for entry in prober.rounds],
            "shrinkage": [bend.factors.tolist() for bend in curvature.at],
            "basis": len(model.basis),
            "energy_lost": lost,
            "anchors": model.anchors.tolist(),
        },
    )


run(main, globals().get("snakemake"))
