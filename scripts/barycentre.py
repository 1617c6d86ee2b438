"""Runs the barycentre path and writes the gradient table at its anchors."""

from pathlib import Path

from trainorder.config.sections import OptimizerConfig, WindowConfig
from trainorder.expansion.anchors import even_anchors
from trainorder.expansion.barycentre import Anchors, anchor_gradients, run_barycentre
from trainorder.expansion.clusters import Clusters
from trainorder.expansion.gradient_table import write_rows
from trainorder.expansion.path import write_path
from trainorder.training.checkpoints import Checkpoints, read_state
from trainorder.training.optimizer import build_optimizer
from trainorder.training.problem import LanguageProblem
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    window, anchors, key = WindowConfig(**p["window"]), p["expansion"]["anchors"], p["key"]
    start = read_state(job.input["warm"], key, "warm")
    clusters = Clusters.load(job.input["clusters"], key)
    optimizer = build_optimizer(OptimizerConfig(**p["optimizer"]), window.horizon)
    checkpoints = Checkpoints(p["work"], job.identity(), every=1, keep_all=True)
    given = even_anchors(window.steps, anchors) if isinstance(anchors, int) else None
    with job.meter.time("precompute"):
        steps = run_barycentre(
            problem,
            None if anchors == "all" else clusters,
            optimizer,
            start,
            window.units_per_step,
            Anchors(window.steps, given, p["expansion"]["tolerance"]),
            checkpoints,
            key,
        )
    rows = anchor_gradients(checkpoints, steps, key)
    write_rows(Path(job.output["table"]), key, steps, problem.units, start.parameters, rows)
    write_path(
        Path(job.output["path"]),
        key,
        lambda t: checkpoints.load(start.step + t)[0],
        window.steps,
        steps,
    )
    checkpoints.clear()


run(main, globals().get("snakemake"))
