"""Trains the model on the warm-up mix, to the checkpoint that the window starts from."""

from trainorder.config.sections import OptimizerConfig, WindowConfig
from trainorder.training.checkpoints import Checkpoints, write_state
from trainorder.training.problem import LanguageProblem
from trainorder.training.trainer import start_state, train
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    window = WindowConfig(**p["window"])
    checkpoints = Checkpoints(p["work"], job.identity(), p["checkpoint_every"])
    trained = train(
        problem.model,
        start_state(problem.model),
        lambda step: problem.warmup_batch(step, window.sequences_per_step),
        window.warmup_steps,
        OptimizerConfig(**p["optimizer"]),
        window.horizon,
        checkpoints,
        "warm-up",
    )
    job.meter.seconds["training"] += trained.seconds
    job.meter.add("gradients", window.warmup_steps * window.units_per_step)
    write_state(job.output["warm"], p["key"], trained.state)
    checkpoints.clear()


run(main, globals().get("snakemake"))
