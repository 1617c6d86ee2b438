"""Replays one shard of an estimator's orders."""

from pathlib import Path

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.estimators.open_estimator import opened_estimator
from trainorder.evaluation.ladder import selected_config
from trainorder.evaluation.replaying import replay_orders
from trainorder.expansion.store import Store
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order import CALIBRATION
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import read_json
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    problem, orders = context.problem, OrderBook.load(job.input["orders"])
    entry = EstimatorConfig(**p["estimator"])
    config, replayed = entry, orders.bounded(entry.orders)
    if ladder := job.input["ladder"]:  # it has replayed the calibration orders
        config = selected_config(entry, read_json(ladder, "ladder"))
        replayed = [order for order in replayed if order.split != CALIBRATION]
    store = Store(Path(job.input["manifest"]).parent, context.key)
    with opened_estimator(
        config, problem, context.optimizer, store=store, seed=p["seed"]
    ) as estimator:
        outcome = replay_orders(
            estimator,
            problem,
            replayed[p["shard"] :: p["shards"]],
            orders.followed(p["trajectories"]),
            SparseJL(problem.size, p["sketch_rows"]),
            p["averaged_states"],
            p["stepwise_losses"],
        )
    write_arrays(job.output["estimate"], context.key, outcome, estimator=entry.name)


run(main, globals().get("snakemake"))
