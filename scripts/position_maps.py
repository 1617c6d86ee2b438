"""Estimates what every position of every unit does."""

from collections.abc import Callable

import numpy as np
import torch

from trainorder.checkpoints import read_state
from trainorder.config import OptimizerConfig, WindowConfig
from trainorder.estimators.base import Expansion
from trainorder.estimators.nystrom import Nystrom
from trainorder.job import Job, run
from trainorder.lowrank import LowRank
from trainorder.memorization.moves import all_positions, moves
from trainorder.optimizer import AdamW
from trainorder.orders import load_orders, load_unit_domains
from trainorder.outcome import with_units
from trainorder.problem import LanguageProblem
from trainorder.reduced import Reduced
from trainorder.store import write_arrays

# Schedules (n, T, k) and a unit for each to its loss (n,) and the domains' (n, D).
Estimate = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def main(job: Job) -> None:
    p, key = job.params, job.params["key"]
    base = load_orders(job.input["orders"])[0].schedule
    ways = moves(base, load_unit_domains(job.input["orders"]))
    cells = {way: all_positions(base, move) for way, move in ways.items()}
    units = np.arange(base.size)
    estimate = _reduced(job) if p["estimator"].startswith("reduced") else _nystrom(job)
    arrays = {}
    with job.meter.time("replay"):
        reference = np.broadcast_to(base, (len(units), *base.shape))
        arrays["own_base"], arrays["heldout_base"] = estimate(reference, units)
        for way, schedules in cells.items():
            flat = schedules.reshape(-1, *base.shape)
            own, heldout = estimate(flat, np.repeat(units, len(base)))
            shape = schedules.shape[:2]
            arrays[f"own_{way}"] = own.reshape(shape)
            arrays[f"heldout_{way}"] = heldout.reshape(*shape, -1)
    write_arrays(job.output["maps"], key, arrays, estimator=p["estimator"])


def _reduced(job: Job) -> Estimate:
    reduced = Reduced.load(job.input["reduced"], job.params["key"])

    def estimate(schedules: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        orders = torch.from_numpy(schedules.copy())
        own = reduced.units(orders)[torch.arange(len(units)), torch.from_numpy(units)]
        return own.double().numpy(), reduced.predict(orders).double().numpy()

    return estimate


def _nystrom(job: Job) -> Estimate:
    p, key = job.params, job.params["key"]
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    window = WindowConfig(**p["window"])
    model = LowRank.load(job.input["curvature"], key, read_state(job.input["warm"], key, "warm"))
    optimizer = AdamW(OptimizerConfig(**p["optimizer"]), window.horizon)
    replay = Nystrom(Expansion(problem, optimizer, model, None), model)

    def estimate(schedules: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return with_units(replay, problem, torch.from_numpy(schedules.copy()), units)

    return estimate


run(main, globals().get("snakemake"))
