"""Reads the reference path from the checkpoints of an existing run, and trains nothing."""

from pathlib import Path

from trainorder.config import OptimizerConfig, RunConfig, WindowConfig
from trainorder.job import Job, run
from trainorder.optimizer import AdamW
from trainorder.orders import load_orders
from trainorder.path import write_path
from trainorder.problem import LanguageProblem
from trainorder.run_files import window_checkpoints
from trainorder.run_states import RunStates, check_run
from trainorder.table import even_anchors


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
