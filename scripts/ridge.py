"""Fits the ridge baseline on retrained orders, and estimates the others with it."""

from trainorder.config.sections import EstimatorConfig
from trainorder.estimators.baselines.positions import position_features
from trainorder.estimators.baselines.ridge import fit_ridge
from trainorder.evaluation.outcomes import read_truth
from trainorder.evaluation.readouts import outcome_without_parameters
from trainorder.orders.order_book import bounded, fit_orders, load_orders, load_unit_domains
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, config = job.params, EstimatorConfig(**job.params["estimator"])
    orders = load_orders(job.input["orders"])
    labels = load_unit_domains(job.input["orders"])
    truth = read_truth(job.input["truth"], p["key"], [order.name for order in orders])
    fit, mine = fit_orders(orders), bounded(orders, config.orders)
    with job.meter.time("precompute"):
        features = position_features([order.schedule for order in fit], labels)
        model = fit_ridge(features, truth.value[truth.rows(order.name for order in fit)])
    with job.meter.time("replay"):
        value = model.predict(position_features([order.schedule for order in mine], labels))
    job.meter.add("orders", len(mine))
    found = outcome_without_parameters(mine, truth.metrics, value, p["sketch_rows"])
    write_arrays(job.output["estimate"], p["key"], found, estimator=config.name)


run(main, globals().get("snakemake"))
