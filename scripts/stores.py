"""Compares ways to store the gradient table, and the residuals of a known run."""

from pathlib import Path
from typing import Any

from trainorder.compression.comparison import ORDERS, compare_codecs
from trainorder.compression.residual_stores import compare_residual_stores
from trainorder.config.sections.sizes import residual_size
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.known_runs import KnownRuns
from trainorder.expansion.store import Store
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import write_json
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    context = Context(job)
    problem = context.problem
    orders = OrderBook.load(job.input["orders"])
    store = Store(Path(job.input["manifest"]).parent, context.key)
    with store.path("reference") as path:
        with store.table("reference") as table:
            expansion = Expansion(problem, context.optimizer, path, table)
            result = compare_codecs(problem, expansion, list(orders.values()))
        expansion = Expansion(problem, context.optimizer, path, None)
        result["residuals"] = residual_stores(context, expansion, orders)
    write_json(job.output["stores"], {"study": job.params["study"], **result})


def residual_stores(
    context: Context, expansion: Expansion, orders: OrderBook
) -> dict[str, Any] | None:
    """Return the comparison of stores of residuals; None without an estimator that reads them."""
    job, problem = context.job, context.problem
    size, seed = job.params["residual_size"], job.params["seed"]
    if size is None:
        return None
    sizes, scale = [residual_size(size, problem.sequences)], second_moment_scale(expansion)
    with job.meter.time("residuals"):
        runs = KnownRuns.measure(
            problem, expansion.path, orders.reference.schedule, sizes, scale, seed
        )
    chosen = [order for order in orders.values() if order.split != "reference"][:ORDERS]
    return compare_residual_stores(problem, expansion, runs, chosen, size=size, seed=seed)


run(main, globals().get("snakemake"))
