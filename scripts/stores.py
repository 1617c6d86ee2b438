"""Compares ways to keep the gradient table: bytes against error."""

from pathlib import Path

from trainorder.compression.comparison import compared
from trainorder.config.sections import OptimizerConfig, WindowConfig
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.gradient_table import Table
from trainorder.expansion.path import StoredPath
from trainorder.orders.order_book import load_orders
from trainorder.storage.formats import write_json
from trainorder.storage.manifest import opened_shards
from trainorder.training.optimizer import build_optimizer
from trainorder.training.problem import LanguageProblem
from trainorder.workflow.job import Job, run


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
            StoredPath(paths[0]),
            Table(tables),
        )
        result = compared(problem, expansion, load_orders(job.input["orders"]))
    write_json(job.output["stores"], {"study": p["study"], **result})


run(main, globals().get("snakemake"))
