"""Estimates what every position of every unit does."""

from pathlib import Path

from trainorder.config.sections import EstimatorConfig, OptimizerConfig, WindowConfig
from trainorder.curvature.reduced_model import ReducedModel
from trainorder.estimators.opening import opened_estimator
from trainorder.memorization.estimates import by_reduced, by_replay, of_all_positions
from trainorder.orders.order_book import load_orders, load_unit_domains
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.training.optimizer import build_optimizer
from trainorder.training.problem import LanguageProblem
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, key = job.params, job.params["key"]
    base = load_orders(job.input["orders"])[0].schedule
    domains = load_unit_domains(job.input["orders"])
    config = EstimatorConfig(*p["estimator"].split("@"))
    if config.method == "reduced":
        with job.meter.time("replay"):
            estimate = by_reduced(ReducedModel.load(job.input["reduced"], key))
            arrays = of_all_positions(base, domains, estimate)
    else:
        problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
        horizon = WindowConfig(**p["window"]).horizon
        optimizer = build_optimizer(OptimizerConfig(**p["optimizer"]), horizon)
        manifest, warm = Path(job.input["manifest"]), Path(job.input["warm"])
        with (
            opened_estimator(config, problem, optimizer, manifest, warm, key, p["seed"]) as replay,
            job.meter.time("replay"),
        ):
            arrays = of_all_positions(base, domains, by_replay(replay, problem))
    write_arrays(job.output["maps"], key, arrays, estimator=p["estimator"])


run(main, globals().get("snakemake"))
