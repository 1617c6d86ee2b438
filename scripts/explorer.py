"""Writes the order explorer: one page that contains the reduced model."""

from pathlib import Path

from trainorder.curvature.reduced_model import ReducedModel
from trainorder.evaluation.results import Results
from trainorder.explorer.page import page
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import read_json, write_text
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    results = Results.read(Path(job.input["validation"]).parent)
    model = ReducedModel.load(job.input["reduced"], job.params["key"])
    winners = {
        order["name"]: order["schedule"]
        for path in job.input["winners"]
        for order in read_json(path)["orders"]
    }
    domains = OrderBook.load(job.input["orders"]).unit_domains
    write_text(job.output["explorer"], page(model, results, domains, winners))


run(main, globals().get("snakemake"))
