"""Lists the orders of the fresh retrainings: the searched orders, and random ones beside them.

Those of the calibration follow the held-back ones: all were drawn alike.
"""

from trainorder.curriculum.candidates import SEARCHED
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import read_json, write_json
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    orders = OrderBook.load(job.input["orders"])
    candidates = read_json(job.input["candidates"], "propose")["orders"]
    searched = [record for record in candidates if record["kind"] == SEARCHED]
    random = [*orders.of_split("random"), *orders.of_split("calibration")][: job.params["random"]]
    records = [order.as_dict(orders.reference) for order in random]
    write_json(job.output["orders"], {"orders": [*searched, *records]})


run(main, globals().get("snakemake"))
