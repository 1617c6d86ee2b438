"""Replays one shard of an estimator's orders."""

from contextlib import ExitStack
from pathlib import Path

from trainorder.checkpoints import read_state
from trainorder.config import STORE, EstimatorConfig, OptimizerConfig, WindowConfig
from trainorder.estimators.base import Expansion
from trainorder.estimators.build import build_estimator
from trainorder.job import Job, run
from trainorder.lowrank import LowRank
from trainorder.manifest import opened_shards, shards
from trainorder.optimizer import AdamW
from trainorder.orders import bounded, followed, load_orders
from trainorder.outcome import replay
from trainorder.path import Path as ExpansionPath
from trainorder.problem import LanguageProblem
from trainorder.sketch import SparseJL
from trainorder.store import write_arrays
from trainorder.table import Table


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    window, config = WindowConfig(**p["window"]), EstimatorConfig(**p["estimator"])
    orders = load_orders(job.input["orders"])
    mine = bounded(orders, config.orders)[p["shard"] :: p["shards"]]
    manifest = Path(job.input["manifest"])
    with ExitStack() as stack:
        needed = STORE[config.method]
        opens = {
            kind: stack.enter_context(opened_shards(manifest, p["key"], config.path, kind))
            for kind in ("path", "table")
            if kind in needed
        }
        model = None
        if "curvature" in needed:
            start = read_state(job.input["warm"], p["key"], "warm")
            [file] = shards(manifest, p["key"], config.path, "curvature")
            model = LowRank.load(file, p["key"], start)
        centre = ExpansionPath(opens["path"][0]) if "path" in opens else model
        if centre is None:
            raise ValueError(f"{config.method} expands about nothing that the store holds")
        expansion = Expansion(
            problem,
            AdamW(OptimizerConfig(**p["optimizer"]), window.horizon),
            centre,
            Table(opens["table"]) if "table" in opens else None,
        )
        outcome = replay(
            build_estimator(config, expansion, model, p["seed"]),
            problem,
            mine,
            followed(orders, p["trajectories"]),
            SparseJL(problem.size, p["sketch_rows"]),
        )
    write_arrays(job.output["estimate"], p["key"], outcome, estimator=config.name)


run(main, globals().get("snakemake"))
