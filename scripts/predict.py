"""Estimates the study's orders with a stored predictor: the reduced model or the effects."""

import numpy as np
import torch

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.data.metrics import metric_names, metric_values
from trainorder.estimators.open_predictor import load_predictor
from trainorder.evaluation.outcome_arrays import outcome_without_parameters
from trainorder.orders.order_book import OrderBook
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, config = job.params, EstimatorConfig(**job.params["estimator"])
    torch.set_num_threads(p["threads"])
    orders = OrderBook.load(job.input["orders"]).bounded(config.orders)
    predictor = load_predictor(config.method, job.input["predictor"], p["key"])
    schedules = torch.from_numpy(np.stack([order.schedule for order in orders]))
    with job.meter.time("replay"):
        losses = predictor.predict(schedules).double().numpy()
    job.meter.orders += len(orders)
    averaged, choices = predictor.averaged_states is not None, p["multiple_choice"] is not None
    names = metric_names(predictor.goals, averaged, choices)
    values = metric_values(losses, len(predictor.goals), choices)
    estimates = outcome_without_parameters(orders, names, values, p["sketch_rows"])
    write_arrays(job.output["estimate"], p["key"], estimates, estimator=config.name)


run(main, globals().get("snakemake"))
