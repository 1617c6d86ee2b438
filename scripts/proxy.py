"""Brings the metrics of the retrained proxy model to the scale of the model it stands for."""

from trainorder.config.sections import EstimatorConfig
from trainorder.estimators.baselines.proxy import rescaled
from trainorder.evaluation.outcomes import read_truth
from trainorder.evaluation.readouts import outcome_without_parameters
from trainorder.orders.order_book import bounded, fit_orders, load_orders, to_retrain
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.workflow.job import Job, run


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
    found = outcome_without_parameters(mine, truth.metrics, value, p["sketch_rows"])
    write_arrays(job.output["estimate"], p["key"], found, estimator=config.name)


run(main, globals().get("snakemake"))
