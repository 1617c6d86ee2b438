"""Trains the window in the reference order and keeps parameters and moments of every step."""

from trainorder.expansion.even_anchors import even_anchors
from trainorder.expansion.path import write_path
from trainorder.orders.order_book import OrderBook
from trainorder.training.trainer import train
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    context = Context(job)
    problem, window, start = context.problem, context.window, context.start()
    schedule = OrderBook.load(job.input["orders"]).reference.schedule
    checkpoints = context.checkpoints(every=1, keep_all=True)
    trained = train(
        problem.model,
        start,
        lambda step: problem.batch(schedule[step]),
        steps=window.steps,
        config=context.optimizer_config,
        horizon=window.horizon,
        checkpoints=checkpoints,
        label="order reference",
    )
    job.meter.seconds["training"] += trained.seconds
    job.meter.add("gradients", schedule.size * problem.sequences, span="training")
    write_path(
        job.output["path"],
        context.key,
        lambda t: checkpoints.load(start.step + t)[0] if t else start,
        steps=window.steps,
        anchors=even_anchors(window.steps, job.params["anchors"]),
    )
    checkpoints.clear()


run(main, globals().get("snakemake"))
