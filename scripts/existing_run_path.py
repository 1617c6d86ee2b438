"""Writes the reference path of an existing run: its checkpoints, and retrained states between."""

from trainorder.config.sections.run import RunConfig
from trainorder.evaluation.run_verification import verification_text
from trainorder.expansion.even_anchors import even_anchors
from trainorder.expansion.path import write_path
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import write_json
from trainorder.training.existing_run.checkpoint_files import window_checkpoints
from trainorder.training.existing_run.window_states import verification, window_states
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    context, existing = Context(job), RunConfig(**job.params["run"])
    problem, window = context.problem, context.window
    schedule = OrderBook.load(job.input["orders"]).reference.schedule
    steps = window_checkpoints(existing.checkpoints, window)
    states = window_states(
        existing.checkpoints, steps, schedule, problem, context.optimizer, existing.tolerance
    )
    with job.meter.time("precompute"):
        write_path(
            job.output["path"],
            context.key,
            lambda t: next(states),
            steps=window.steps,
            anchors=even_anchors(window.steps, job.params["anchors"]),
        )
    states.close()  # ends its progress bar
    intervals = verification(steps, window.horizon)
    write_json(job.output["verification"], intervals)
    print(f"the existing run: {verification_text(intervals)}")


run(main, globals().get("snakemake"))
