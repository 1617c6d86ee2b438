"""Rescales the metrics of the retrained proxy model to those of the model that it replaces."""

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.estimators.baselines.proxy import rescaled
from trainorder.evaluation.outcome_arrays import outcome_without_parameters
from trainorder.evaluation.outcomes import read_truth
from trainorder.orders.order_book import OrderBook
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, config = job.params, EstimatorConfig(**job.params["estimator"])
    orders = OrderBook.load(job.input["orders"])
    estimated = orders.bounded(config.orders)
    retrained = [order.name for order in orders.to_retrain(config.orders)]
    truth = read_truth(job.input["truth"], p["key"], list(orders))
    proxy = read_truth(job.input["proxy"], p["proxy_key"], retrained, "proxy_orders")
    fit = [order.name for order in orders.fit]
    values = rescaled(
        proxy.value[proxy.rows(order.name for order in estimated)],
        proxy.value[proxy.rows(fit)],
        truth.value[truth.rows(fit)],
    )
    estimates = outcome_without_parameters(estimated, truth.metrics, values, p["sketch_rows"])
    write_arrays(job.output["estimate"], p["key"], estimates, estimator=config.name)


run(main, globals().get("snakemake"))
