"""Replays one shard of an estimator's orders."""

from pathlib import Path

from trainorder.config.sections import EstimatorConfig, OptimizerConfig, WindowConfig
from trainorder.estimators.opening import opened_estimator
from trainorder.evaluation.replaying import replay_orders
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order_book import bounded, followed, load_orders
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.training.optimizer import build_optimizer
from trainorder.training.problem import LanguageProblem
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    window, config = WindowConfig(**p["window"]), EstimatorConfig(**p["estimator"])
    orders = load_orders(job.input["orders"])
    mine = bounded(orders, config.orders)[p["shard"] :: p["shards"]]
    optimizer = build_optimizer(OptimizerConfig(**p["optimizer"]), window.horizon)
    manifest, warm = Path(job.input["manifest"]), Path(job.input["warm"])
    with opened_estimator(
        config, problem, optimizer, manifest, warm, p["key"], p["seed"]
    ) as estimator:
        outcome = replay_orders(
            estimator,
            problem,
            mine,
            followed(orders, p["trajectories"]),
            SparseJL(problem.size, p["sketch_rows"]),
        )
    write_arrays(job.output["estimate"], p["key"], outcome, estimator=config.name)


run(main, globals().get("snakemake"))
