"""Lists the orders of the fresh retrainings: the searched orders, and random ones beside them."""

from trainorder.curriculum.candidates_file import SEARCHED, read_candidates
from trainorder.curriculum.fresh_gains import BEST
from trainorder.curriculum.gains import true_objective
from trainorder.curriculum.objective import Objective
from trainorder.evaluation.outcomes import read_truth
from trainorder.orders.order import CALIBRATION, FIT, HELD_BACK
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import write_json
from trainorder.workflow.job import Job, run

SPLITS = (HELD_BACK, CALIBRATION, FIT)  # of random orders


def main(job: Job) -> None:
    p, orders = job.params, OrderBook.load(job.input["orders"])
    candidates = read_candidates(job.input["candidates"])["orders"]
    searched = [record for record in candidates if record["kind"] == SEARCHED]
    # The held-back orders come first, for the sample. All were drawn alike, also those for fits,
    # and any of them can be the best one, as in rule `curriculum`.
    random = {order.name: order for split in SPLITS for order in orders.of_split(split)}
    truth = read_truth(job.input["truth"], p["key"], [order.name for order in orders.values()])
    true = true_objective(Objective(p["objective"]), truth)
    sample = list(random)[: p["random"]]
    best = sorted(random, key=lambda name: true[name])[:BEST]
    records = [
        random[name].as_dict(orders.reference) for name in random if name in {*sample, *best}
    ]
    write_json(job.output["orders"], {"orders": [*searched, *records], "sample": sample})


run(main, globals().get("snakemake"))
