"""Measures the throughput of gradients, of replays and of the reduced model.

All measurements use the files of one finished study and run one after the other in one process.
Plain training of the same model on the same batches is measured for comparison.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import timing
from bench.replay_parts import replay_parts
from bench.speed_setting import Setting
from bench.studies import Study
from bench.timing import alternating_medians, median_seconds
from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.curvature.reduced_model import ReducedModel
from trainorder.estimators.nystrom import Nystrom
from trainorder.estimators.order0 import Order0
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.gradient_table import write_table
from trainorder.expansion.replay import ExactReplay
from trainorder.training.meter import peak_bytes
from trainorder.training.problem import unit_gradients

ORDERS = 32  # replayed at once
SCHEDULES, CORES = 4096, 2  # of the reduced model
COPIED = 2**26  # numbers that are copied to measure the memory bandwidth
ANCHORS = 2  # rows of the table that are written
BYTES = 4  # of a float32
OPERATORS = 6  # rows of a profile


def measure(study: Study) -> dict[str, Any]:
    """Return all measurements on a finished study.

    Raises:
        UserError: a file of its store is missing or damaged.

    """
    with ExitStack() as stack:
        setting = Setting(study, stack)
        problem, window = setting.problem, setting.window
        return {
            "study": study.name,
            "parameters": problem.size,
            "steps": window.steps,
            "units": window.units,
            "sequences_per_unit": problem.sequences,
            "threads": torch.get_num_threads(),
            "gradients": gradients(setting),
            "replay": replays(setting),
            "parts": replay_parts(setting),
            "reduced": reduced(setting),
            "profile": profiles(setting),
            "peak_bytes": peak_bytes(),
        }


def trainer(setting: Setting) -> Callable[[], None]:
    """Return a function that trains on every unit once with torch.optim.AdamW."""
    problem, window = setting.problem, setting.window
    model, config = problem.model, OptimizerConfig(**setting.params["optimizer"])
    model.load(setting.start.parameters)
    optimizer = torch.optim.AdamW(model.module.parameters(), lr=config.learning_rate)
    steps = np.arange(window.units).reshape(-1, window.units_per_step)
    batches = [problem.batch(units) for units in steps]

    def train() -> None:
        for batch in batches:
            loss = model.module_loss(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return train


def gradients(setting: Setting) -> dict[str, float]:
    """Return units per second: in training, in gradients of the table, and in writing the table.

    The three alternate, so that other load on the machine affects all of them.
    """
    problem, theta = setting.problem, setting.start.parameters
    train = trainer(setting)
    path = setting.expansion().path
    anchors = path.anchors[:ANCHORS]
    with tempfile.TemporaryDirectory(dir=setting.study.results) as folder:
        shard = Path(folder) / "table.h5"
        works: dict[str, tuple[Callable[[], object], int]] = {
            "training": (train, problem.units),
            "table": (lambda: unit_gradients(problem, theta), problem.units),
            "written": (
                lambda: write_table(shard, setting.params["key"], problem, path, anchors),
                problem.units * len(anchors),
            ),
        }
        middle = alternating_medians({name: work for name, (work, _) in works.items()})
    rates = {name: works[name][1] / middle[name] for name in works}
    return {
        "training_units_per_second": rates["training"],
        "table_units_per_second": rates["table"],
        "written_units_per_second": rates["written"],
        "ratio": rates["table"] / rates["training"],
        "written_ratio": rates["written"] / rates["training"],
        "retraining_seconds": middle["training"] * setting.window.epochs,
    }


def replays(setting: Setting) -> dict[str, Any]:
    """Return the speed of replays, and the limits of memory and arithmetic on as many threads."""
    expansion, key = setting.expansion(), setting.params["key"]
    model = LowRankExpansion.load(setting.store("barycentre/curvature.h5"), key, setting.start)
    about = Expansion(setting.problem, expansion.optimizer, expansion.path, None)
    bandwidth = copy_bandwidth()
    rank, size = len(model.readers) + len(model.basis), model.basis.size
    estimators: dict[str, tuple[ExactReplay, int]] = {
        "order0": (Order0(expansion), order0_bytes(size, setting.window.units, ORDERS)),
        "nystrom": (Nystrom(about, model), nystrom_bytes(size, rank, ORDERS)),
    }
    record: dict[str, Any] = {"orders": ORDERS, "copy_bytes_per_second": bandwidth}
    for name, (estimator, touched) in estimators.items():
        record[name] = _replay(setting, estimator, touched, bandwidth)
    flops = 2 * rank * size * ORDERS  # of the products with the readers and with the basis
    reached = flops / record["nystrom"]["seconds_per_step"]
    record["matmul_flops_per_second"] = allowed = matmul_flops(rank, size)
    record["nystrom"] |= {"rank": rank, "flops_per_second": reached, "of_matmul": reached / allowed}
    return record


def _replay(
    setting: Setting, estimator: ExactReplay, touched: int, bandwidth: float
) -> dict[str, float]:
    schedules = setting.schedules(ORDERS)
    steps = schedules.shape[1]
    taken = median_seconds(lambda: estimator.replay(schedules, lambda t, parameters: None)) / steps
    return {
        "seconds_per_step": taken,
        "seconds_per_order": taken * steps / ORDERS,
        "bytes_per_step": touched,
        "bytes_per_second": touched / taken,
        "of_bandwidth": touched / taken / bandwidth,
    }


def adamw_bytes(size: int, orders: int) -> int:
    """Return the least bytes of an update: it reads the gradient, reads and writes 3 tensors."""
    return 7 * BYTES * size * orders


def order0_bytes(size: int, units: int, orders: int) -> int:
    """Return the least bytes of a step of `order0`: its row of the table, and the update.

    The row (U, P) is read once, and the gradient of each order written once.
    """
    return BYTES * size * (units + orders) + adamw_bytes(size, orders)


def nystrom_bytes(size: int, rank: int, orders: int) -> int:
    """Return the least bytes of a step of `nystrom`: basis, path, mean, and the update.

    Each order reads its parameters for the displacement and writes its gradient. All orders share
    the readers (r, P) and the basis (q, P), which have `rank` = r + q rows.
    """
    return BYTES * size * (rank + 2 + 2 * orders) + adamw_bytes(size, orders)


def profiles(setting: Setting) -> dict[str, list[dict[str, Any]]]:
    """Return profiles of the gradients of the table, and of a replay of `nystrom`."""
    expansion, key = setting.expansion(), setting.params["key"]
    model = LowRankExpansion.load(setting.store("barycentre/curvature.h5"), key, setting.start)
    nystrom = Nystrom(Expansion(setting.problem, expansion.optimizer, expansion.path, None), model)
    schedules = setting.schedules(ORDERS)
    return {
        "gradients": profile(lambda: unit_gradients(setting.problem, setting.start.parameters)),
        "nystrom": profile(lambda: nystrom.replay(schedules, lambda t, parameters: None)),
    }


def profile(work: Callable[[], object]) -> list[dict[str, Any]]:
    """Return the operators with the most own time, with their share of it and their calls."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        work()
    operators = profiler.key_averages()
    total = sum(operator.self_cpu_time_total for operator in operators)
    operators = sorted(operators, key=lambda operator: -operator.self_cpu_time_total)
    return [
        {
            "operator": operator.key,
            "share": operator.self_cpu_time_total / total,
            "calls": operator.count,
        }
        for operator in operators[:OPERATORS]
    ]


def copy_bandwidth() -> float:
    """Return the bytes per second that a copy larger than any cache reads and writes."""
    source, target = torch.ones(COPIED), torch.empty(COPIED)
    return 2 * BYTES * COPIED / median_seconds(lambda: target.copy_(source))


def matmul_flops(rank: int, size: int) -> float:
    """Return floating-point operations per second of a product with the shape of the replay."""
    a, b = torch.ones(ORDERS, size), torch.ones(size, rank)
    return 2 * ORDERS * rank * size / median_seconds(lambda: a @ b)


def reduced(setting: Setting) -> dict[str, float]:
    """Return the schedules per second that the reduced model estimates on two cores."""
    model = ReducedModel.load(setting.store("barycentre/reduced.h5"), setting.params["key"])
    schedules, before = setting.schedules(SCHEDULES), torch.get_num_threads()
    torch.set_num_threads(CORES)
    taken = median_seconds(lambda: model.predict(schedules))
    torch.set_num_threads(before)
    return {
        "schedules": SCHEDULES,
        "threads": CORES,
        "repetitions": timing.REPETITIONS,
        "seconds": taken,
        "schedules_per_second": SCHEDULES / taken,
        "bytes": setting.store("barycentre/reduced.h5").stat().st_size,
    }
