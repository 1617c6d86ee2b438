"""Trains the model on the warm-up mix, up to the state that the window starts from."""

from trainorder.training.checkpoints import write_state
from trainorder.training.trainer import start_state, train
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    context = Context(job)
    problem, window = context.problem, context.window
    checkpoints = context.checkpoints(job.params["checkpoint_every"])
    trained = train(
        problem.model,
        start_state(problem.model),
        lambda step: problem.warmup_batch(step, window.sequences_per_step),
        steps=window.warmup_steps,
        config=context.optimizer_config,
        horizon=window.horizon,
        checkpoints=checkpoints,
        label="warm-up",
    )
    job.meter.seconds["training"] += trained.seconds
    sequences = window.warmup_steps * window.sequences_per_step
    job.meter.add("gradients", sequences, span="training")
    write_state(job.output["warm"], context.key, trained.state)
    checkpoints.clear()


run(main, globals().get("snakemake"))
