"""Fits the ridge baseline on retrained orders, and estimates the others with it."""

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.estimators.baselines.positions import position_features
from trainorder.estimators.baselines.ridge import fit_ridge
from trainorder.evaluation.outcome_arrays import outcome_without_parameters
from trainorder.evaluation.outcomes import read_truth
from trainorder.orders.order_book import OrderBook
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, config = job.params, EstimatorConfig(**job.params["estimator"])
    orders = OrderBook.load(job.input["orders"])
    estimated, domains = orders.bounded(config.orders), orders.unit_domains
    truth = read_truth(job.input["truth"], p["key"], list(orders))
    with job.meter.time("precompute"):
        features = position_features([order.schedule for order in orders.fit], domains)
        model = fit_ridge(features, truth.value[truth.rows(order.name for order in orders.fit)])
    with job.meter.time("replay"):
        features = position_features([order.schedule for order in estimated], domains)
        values = model.predict(features)
    job.meter.orders += len(estimated)
    estimates = outcome_without_parameters(estimated, truth.metrics, values, p["sketch_rows"])
    write_arrays(job.output["estimate"], p["key"], estimates, estimator=config.name)


run(main, globals().get("snakemake"))
