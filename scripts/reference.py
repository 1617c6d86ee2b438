"""Trains the window in the reference order and keeps parameters and moments of every step."""

from pathlib import Path

from trainorder.config.sections import OptimizerConfig, WindowConfig
from trainorder.expansion.anchors import even_anchors
from trainorder.expansion.path import write_path
from trainorder.orders.order_book import load_orders
from trainorder.training.checkpoints import Checkpoints, read_state
from trainorder.training.problem import LanguageProblem
from trainorder.training.trainer import train
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    window = WindowConfig(**p["window"])
    start = read_state(job.input["warm"], p["key"], "warm")
    schedule = load_orders(job.input["orders"])[0].schedule
    checkpoints = Checkpoints(p["work"], job.identity(), every=1, keep_all=True)
    trained = train(
        problem.model,
        start,
        lambda step: problem.batch(schedule[step]),
        window.steps,
        OptimizerConfig(**p["optimizer"]),
        window.horizon,
        checkpoints,
        "order reference",
    )
    job.meter.seconds["training"] += trained.seconds
    job.meter.add("gradients", schedule.size)
    write_path(
        Path(job.output["path"]),
        p["key"],
        lambda t: checkpoints.load(start.step + t)[0] if t else start,
        window.steps,
        even_anchors(window.steps, p["anchors"]),
    )
    checkpoints.clear()


run(main, globals().get("snakemake"))
