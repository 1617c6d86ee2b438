"""Retrains one shard of orders with `torch.optim`, from the state before the window.

The reference order of an existing run is not retrained: its states are read from the run's path.
"""

from contextlib import ExitStack

from trainorder.evaluation.retraining import TrainingSetup, retrain_orders
from trainorder.expansion.path import opened_path
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order_book import OrderBook
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    problem, start, every = context.problem, context.start(), p["checkpoint_every"]
    orders = OrderBook.load(job.input["orders"])
    with ExitStack() as stack:
        run_path = None
        if path := job.input.get("path"):
            run_path = stack.enter_context(opened_path(path, context.key))
        training = TrainingSetup(
            start,
            context.optimizer_config,
            context.window.horizon,
            context.window.readouts(p["readouts"]),
            lambda order, readout: context.checkpoints(every, suffix=f"{order}-{readout}"),
            run_path,
        )
        outcome = retrain_orders(
            problem,
            orders.to_retrain(p["bounds"])[p["shard"] :: p["shards"]],
            training,
            followed=orders.followed(p["trajectories"]),
            sketch=SparseJL(problem.size, p["sketch_rows"]),
            units=orders.units_of_interest,
        )
    write_arrays(job.output["truth"], context.key, outcome)
    context.checkpoints(every).clear()


run(main, globals().get("snakemake"))
