"""Reads the checkpoint that the window of an existing run starts from; detects its loss scale."""

from trainorder.config.sections.run import RunConfig
from trainorder.orders.user_files import read_reference
from trainorder.training.checkpoints import write_state
from trainorder.training.existing_run.checkpoint_files import window_checkpoints
from trainorder.training.existing_run.loss_scale import detected_loss_scale
from trainorder.training.existing_run.stored_state import read_checkpoint
from trainorder.training.problem import LanguageProblem
from trainorder.training.weight_decay import build_for
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    context, existing = Context(job), RunConfig(**job.params["run"])
    settings = {**job.params["problem"], "loss_scale": 1.0}
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **settings)
    steps = window_checkpoints(existing.checkpoints, context.window)
    loss_scale = existing.loss_scale
    if loss_scale is None:
        with job.meter.time("precompute"):
            loss_scale = detected_loss_scale(
                existing.checkpoints,
                steps,
                read_reference(job.input["order"] or None, context.window),
                problem,
                build_for(problem.model, context.optimizer_config, context.window.horizon),
                existing.tolerance,
            )
    if loss_scale != 1:
        print(f"loss scale: gradients of the run are {loss_scale:.8g} times those of the mean loss")
    state = read_checkpoint(existing.checkpoints, steps[0], problem.model)
    write_state(job.output["warm"], context.key, state, loss_scale)


run(main, globals().get("snakemake"))
