"""Runs the barycentre path and writes the gradient table along it."""

from pathlib import Path

from trainorder.barycentre import write_barycentre
from trainorder.checkpoints import Checkpoints, read_state
from trainorder.config import OptimizerConfig, WindowConfig
from trainorder.files import move
from trainorder.job import Job, run
from trainorder.optimizer import AdamW
from trainorder.path import write_path
from trainorder.problem import LanguageProblem
from trainorder.table import anchor_steps, spans


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    window = WindowConfig(**p["window"])
    start = read_state(job.input["warm"], p["key"], "warm")
    optimizer = AdamW(OptimizerConfig(**p["optimizer"]), window.horizon)
    checkpoints = Checkpoints(p["work"], job.identity(), every=1, keep_all=True)
    shards = [checkpoints.folder / Path(output).name for output in job.output["table"]]
    with job.meter.time("precompute"):
        write_barycentre(
            problem,
            optimizer,
            start,
            window.units_per_step,
            spans(window.steps, anchor_steps(window.steps, p["anchors"]), p["shards"]),
            shards,
            checkpoints,
            p["key"],
        )
    for shard, output in zip(shards, job.output["table"], strict=True):
        move(shard, output)
    write_path(
        Path(job.output["path"]),
        p["key"],
        lambda t: checkpoints.load(start.step + t)[0],
        window.steps,
    )
    checkpoints.clear()


run(main, globals().get("snakemake"))
