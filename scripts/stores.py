"""Compares ways to keep the gradient table: bytes against error."""

from pathlib import Path

from trainorder.comparison import compared
from trainorder.config import OptimizerConfig, WindowConfig
from trainorder.estimators.base import Expansion
from trainorder.files import write_json
from trainorder.job import Job, run
from trainorder.manifest import opened_shards
from trainorder.optimizer import build_optimizer
from trainorder.orders import load_orders
from trainorder.path import Path as ExpansionPath
from trainorder.problem import LanguageProblem
from trainorder.table import Table


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    manifest = Path(job.input["manifest"])
    with (
        opened_shards(manifest, p["key"], "reference", "path") as paths,
        opened_shards(manifest, p["key"], "reference", "table") as tables,
    ):
        expansion = Expansion(
            problem,
            build_optimizer(OptimizerConfig(**p["optimizer"]), WindowConfig(**p["window"]).horizon),
            ExpansionPath(paths[0]),
            Table(tables),
        )
        result = compared(problem, expansion, load_orders(job.input["orders"]))
    write_json(job.output["stores"], {"study": p["study"], **result})


run(main, globals().get("snakemake"))
