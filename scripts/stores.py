"""Compares ways to store the gradient table: bytes against error."""

from pathlib import Path

from trainorder.compression.comparison import compare_codecs
from trainorder.expansion.expansion import Expansion
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
    with store.path("reference") as path, store.table("reference") as table:
        expansion = Expansion(problem, context.optimizer, path, table)
        result = compare_codecs(problem, expansion, list(orders.values()))
    write_json(job.output["stores"], {"study": job.params["study"], **result})


run(main, globals().get("snakemake"))
