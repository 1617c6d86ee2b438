"""Reads the reference path from the checkpoints of an existing run, and trains nothing."""

from pathlib import Path

from trainorder.config.sections import OptimizerConfig, RunConfig, WindowConfig
from trainorder.expansion.anchors import even_anchors
from trainorder.expansion.path import write_path
from trainorder.orders.order_book import load_orders
from trainorder.training.existing_run.checkpoint_files import window_checkpoints
from trainorder.training.existing_run.states import RunStates
from trainorder.training.existing_run.verification import check_run
from trainorder.training.optimizer import AdamW
from trainorder.training.problem import LanguageProblem
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    window, existing = WindowConfig(**p["window"]), RunConfig(**p["run"])
    schedule = load_orders(job.input["orders"])[0].schedule
    optimizer = AdamW(OptimizerConfig(**p["optimizer"]), window.horizon)
    with job.meter.time("precompute"):
        steps = window_checkpoints(existing.checkpoints, window)
        states = RunStates(existing.checkpoints, steps, problem.model)
        check_run(states, schedule, problem, optimizer, existing.tolerance)
        write_path(
            Path(job.output["path"]),
            p["key"],
            states.state,
            window.steps,
            even_anchors(window.steps, p["anchors"]),
        )


run(main, globals().get("snakemake"))
