"""Retrains one shard of orders with `torch.optim`, from the state before the window.

The reference order of an existing run is not retrained: its states are read from the run's path.
The first calibration orders are recorded as known runs if an estimator uses them.
"""

from contextlib import ExitStack

from trainorder.evaluation.finished_orders import FinishedOrders
from trainorder.evaluation.retraining import TrainingSetup, retrain_orders
from trainorder.expansion.path import opened_path
from trainorder.expansion.run_recorder import RunRecorder
from trainorder.expansion.subsamples import Subsamples
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order import CALIBRATION, Order
from trainorder.orders.order_book import OrderBook
from trainorder.storage.sealed_hdf5 import creating, opened, write_arrays
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    problem, start, every = context.problem, context.start(), p["checkpoint_every"]
    orders = OrderBook.load(job.input["orders"])
    retrained = orders.to_retrain(p["bounds"])[p["shard"] :: p["shards"]]
    with ExitStack() as stack:
        run_path = None
        if path := job.input.get("path"):
            run_path = stack.enter_context(opened_path(path, context.key))
        recorder = None
        if output := job.output.get("known_runs"):
            with opened(job.input["residuals"], context.key, "residuals") as file:
                subsamples = Subsamples.of(file)
            recorder = RunRecorder(
                stack.enter_context(creating(output, context.key, shard=p["shard"])),
                problem,
                subsamples,
                known_runs(orders, p["known_runs"], retrained),
                orders.reference.schedule.shape,
            )
        training = TrainingSetup(
            start,
            context.optimizer_config,
            context.window.horizon,
            context.window.readouts(p["readouts"]),
            lambda order, readout: context.checkpoints(every, suffix=f"{order}-{readout}"),
            run_path,
            recorder,
            p["averaged_states"],
            FinishedOrders(
                context.checkpoints(every).folder / "finished", context.key, problem.meter
            ),
        )
        outcome = retrain_orders(
            problem,
            retrained,
            training,
            followed=orders.followed(p["trajectories"]),
            sketch=SparseJL(problem.size, p["sketch_rows"]),
            units=orders.units_of_interest,
            stepwise=p["stepwise_losses"],
        )
    write_arrays(job.output["truth"], context.key, outcome)
    context.checkpoints(every).clear()


def known_runs(orders: OrderBook, count: int, retrained: list[Order]) -> dict[int, Order]:
    """Return the orders of this shard that are recorded as known runs, by the number of the run."""
    numbered = dict(enumerate(orders.of_split(CALIBRATION)[:count], start=1))
    here = {order.name for order in retrained}
    return {number: order for number, order in numbered.items() if order.name in here}


run(main, globals().get("snakemake"))
