"""Reduces the low-rank expansion to a few megabytes that replay whole schedules."""

from pathlib import Path

from trainorder.config.sections import OptimizerConfig, WindowConfig
from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.curvature.probing import probe_schedules, second_moment_scale
from trainorder.curvature.reduction import SCHEDULES, reduce
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.path import StoredPath
from trainorder.storage.manifest import RULES
from trainorder.storage.sealed_hdf5 import opened
from trainorder.training.checkpoints import read_state
from trainorder.training.optimizer import build_optimizer
from trainorder.training.problem import LanguageProblem
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    window = WindowConfig(**p["window"])
    start = read_state(job.input["warm"], p["key"], "warm")
    model = LowRankExpansion.load(job.input["curvature"], p["key"], start)
    shape = (window.steps, window.units_per_step)
    schedules = probe_schedules(shape, window.units, p["seed"], SCHEDULES)
    rule = RULES[Path(job.input["path"]).parent.name, "path"]
    with opened(job.input["path"], p["key"], rule) as path:
        optimizer = build_optimizer(OptimizerConfig(**p["optimizer"]), window.horizon)
        expansion = Expansion(problem, optimizer, StoredPath(path), None)
        with job.meter.time("precompute"):
            metric = second_moment_scale(expansion)
            reduced = reduce(expansion, model, schedules, metric, window.readouts(p["readouts"]))
    reduced.save(job.output["reduced"], p["key"])


run(main, globals().get("snakemake"))
