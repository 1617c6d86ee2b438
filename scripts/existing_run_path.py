"""Reads the reference path from the checkpoints of an existing run, without any training."""

from trainorder.config.sections import RunConfig
from trainorder.expansion.anchors import even_anchors
from trainorder.expansion.path import write_path
from trainorder.orders.order_book import OrderBook
from trainorder.training.existing_run.checkpoint_files import window_checkpoints
from trainorder.training.existing_run.states import RunStates
from trainorder.training.existing_run.verification import check_run
from trainorder.training.optimizer import AdamW
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    context, existing = Context(job), RunConfig(**job.params["run"])
    problem, window = context.problem, context.window
    schedule = OrderBook.load(job.input["orders"]).reference.schedule
    optimizer = AdamW(context.optimizer_config, window.horizon)
    with job.meter.time("precompute"):
        steps = window_checkpoints(existing.checkpoints, window)
        states = RunStates(existing.checkpoints, steps, problem.model)
        check_run(states, schedule, problem, optimizer, existing.tolerance)
        write_path(
            job.output["path"],
            context.key,
            states.state,
            steps=window.steps,
            anchors=even_anchors(window.steps, job.params["anchors"]),
            exact=[step - steps[0] for step in steps],
        )


run(main, globals().get("snakemake"))
