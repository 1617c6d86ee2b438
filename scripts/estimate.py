"""Replays one shard of an estimator's orders."""

from pathlib import Path

from trainorder.config import EstimatorConfig, OptimizerConfig, WindowConfig
from trainorder.estimators.opening import opened_estimator
from trainorder.job import Job, run
from trainorder.optimizer import build_optimizer
from trainorder.orders import bounded, followed, load_orders
from trainorder.outcome import replay
from trainorder.problem import LanguageProblem
from trainorder.sketch import SparseJL
from trainorder.store import write_arrays


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
        outcome = replay(
            estimator,
            problem,
            mine,
            followed(orders, p["trajectories"]),
            SparseJL(problem.size, p["sketch_rows"]),
        )
    write_arrays(job.output["estimate"], p["key"], outcome, estimator=config.name)


run(main, globals().get("snakemake"))
