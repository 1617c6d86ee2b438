"""Runs the barycentre path and writes the gradient table at its anchors."""

import numpy as np

from trainorder.expansion.anchor_files import AnchorFiles
from trainorder.expansion.anchors import Anchors
from trainorder.expansion.barycentre import run_barycentre
from trainorder.expansion.clusters import Clusters
from trainorder.expansion.even_anchors import even_anchors
from trainorder.expansion.gradient_table import write_rows
from trainorder.expansion.path import write_path
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    context, expansion = Context(job), job.params["expansion"]
    key, problem, steps = context.key, context.problem, context.window.steps
    start = context.start()
    count = expansion["anchors"]
    given = even_anchors(steps, count) if isinstance(count, int) else None
    clusters = None if count == "all" else Clusters.load(job.input["clusters"], key)
    checkpoints = context.checkpoints(every=1, keep_all=True)
    with job.meter.time("precompute"):
        anchors = run_barycentre(
            problem,
            clusters,
            context.optimizer,
            start,
            context.window.units_per_step,
            Anchors(steps, given, expansion["tolerance"]),
            checkpoints,
            key,
        )
    labels = clusters.labels if clusters else np.arange(problem.units)
    rows = AnchorFiles(checkpoints.folder, key).table(anchors, labels)
    steps_of_rows = np.array(anchors.steps)
    write_rows(job.output["table"], key, steps_of_rows, problem.units, start.parameters, rows)
    write_path(
        job.output["path"],
        key,
        lambda t: checkpoints.load(start.step + t)[0],
        steps=steps,
        anchors=steps_of_rows,
    )
    checkpoints.clear()


run(main, globals().get("snakemake"))
