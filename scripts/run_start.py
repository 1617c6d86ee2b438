"""Reads the checkpoint of an existing run that the window starts from."""

from trainorder.training.checkpoints import write_state
from trainorder.training.existing_run.states import read_checkpoint
from trainorder.training.problem import LanguageProblem
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    step = p["window"]["warmup_steps"]
    write_state(
        job.output["warm"],
        p["key"],
        read_checkpoint(p["run"]["checkpoints"], step, problem.model),
    )


run(main, globals().get("snakemake"))
