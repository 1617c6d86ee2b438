"""Brings the metrics of the retrained proxy model to the scale of the model it stands for."""

from trainorder.baselines import outcome
from trainorder.config import EstimatorConfig
from trainorder.job import Job, run
from trainorder.orders import bounded, fit_orders, load_orders, to_retrain
from trainorder.proxy import rescaled
from trainorder.shards import read_truth
from trainorder.store import write_arrays


def main(job: Job) -> None:
    p, config = job.params, EstimatorConfig(**job.params["estimator"])
    orders = load_orders(job.input["orders"])
    names = [order.name for order in orders]
    fit, mine = fit_orders(orders), bounded(orders, config.orders)
    narrow = [order.name for order in to_retrain(orders, config.orders)]
    truth = read_truth(job.input["truth"], p["key"], names)
    proxy = read_truth(job.input["proxy"], p["proxy_key"], narrow, "proxy_orders")
    on = [order.name for order in fit]
    value = rescaled(
        proxy.value[proxy.rows(order.name for order in mine)],
        proxy.value[proxy.rows(on)],
        truth.value[truth.rows(on)],
    )
    found = outcome(mine, truth.metrics, value, p["sketch_rows"])
    write_arrays(job.output["estimate"], p["key"], found, estimator=config.name)


run(main, globals().get("snakemake"))
