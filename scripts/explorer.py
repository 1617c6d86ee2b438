"""Writes the order explorer: one page, with the reduced model in it."""

from pathlib import Path

from trainorder.curvature.reduced_model import ReducedModel
from trainorder.evaluation.results import Results
from trainorder.explorer.page import page
from trainorder.orders.order_book import load_unit_domains
from trainorder.storage.formats import read_json, write_text
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    results = Results.read(Path(job.input["validation"]).parent)
    model = ReducedModel.load(job.input["reduced"], job.params["key"])
    searched = [read_json(path)["orders"] for path in job.input["winners"]]
    more = {order["name"]: order["schedule"] for orders in searched for order in orders}
    domains = load_unit_domains(job.input["orders"])
    write_text(job.output["explorer"], page(model, results, domains, more))


run(main, globals().get("snakemake"))
