"""Replays one shard of an estimator's orders."""

from contextlib import ExitStack
from pathlib import Path

from trainorder.config import TABLE_METHODS, EstimatorConfig, OptimizerConfig, WindowConfig
from trainorder.estimators.base import Expansion
from trainorder.estimators.build import build_estimator
from trainorder.job import Job, run
from trainorder.manifest import RULES, shards
from trainorder.optimizer import AdamW
from trainorder.orders import bounded, followed, load_orders
from trainorder.outcome import replay
from trainorder.path import Path as ExpansionPath
from trainorder.problem import LanguageProblem
from trainorder.sketch import SparseJL
from trainorder.store import opened, write_arrays
from trainorder.table import Table


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    window, config = WindowConfig(**p["window"]), EstimatorConfig(**p["estimator"])
    orders = load_orders(job.input["orders"])
    mine = bounded(orders, config.orders)[p["shard"] :: p["shards"]]
    manifest = Path(job.input["manifest"])
    with ExitStack() as stack:
        files = {
            kind: [
                stack.enter_context(opened(file, p["key"], RULES[config.path, kind]))
                for file in shards(manifest, p["key"], config.path, kind)
            ]
            for kind in ("path", *(["table"] if config.method in TABLE_METHODS else []))
        }
        expansion = Expansion(
            problem,
            AdamW(OptimizerConfig(**p["optimizer"]), window.horizon),
            ExpansionPath(files["path"][0]),
            Table(files["table"]) if "table" in files else None,
        )
        outcome = replay(
            build_estimator(config, expansion),
            problem,
            mine,
            followed(orders, p["trajectories"]),
            SparseJL(problem.size, p["sketch_rows"]),
        )
    write_arrays(job.output["estimate"], p["key"], outcome, estimator=config.name)


run(main, globals().get("snakemake"))
