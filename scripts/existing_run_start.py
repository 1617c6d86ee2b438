"""Reads the checkpoint of an existing run that the window starts from."""

from trainorder.training.checkpoints import write_state
from trainorder.training.existing_run.stored_state import read_checkpoint
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    context, folder = Context(job), job.params["run"]["checkpoints"]
    state = read_checkpoint(folder, context.window.warmup_steps, context.problem.model)
    write_state(job.output["warm"], context.key, state)


run(main, globals().get("snakemake"))
