"""The speed of this machine: seconds and memory of each operation of a study, on random tokens."""

import hashlib
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.evaluation.replaying import batch_size
from trainorder.expansion.replay import parts
from trainorder.numerics.derivatives import gradient, taylor_gradients
from trainorder.training.meter import peak_bytes
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import Optimizer, State
from trainorder.training.trainer import torch_optimizer

# Passes that need more memory come later, so that each one's addition to the peak can be measured.
KINDS = ("forward", "gradient", "step", "hvp", "third", "update", "product", "hash")
_INSIDE = {"hvp": "gradient", "third": "hvp"}  # a pass computes the other one first
_REPETITIONS, _ENOUGH_SECONDS = 5, 0.5
_LONG_SECONDS = 5.0  # of a first repetition that counts, because the others would take long
_ROWS = 64  # of the matrices for products and updates; larger than the CPU caches
_BYTES = 2**24  # hashed


@dataclass(frozen=True)
class Operation:
    """An operation that is timed; the work of a study is counted in operations.

    Attributes:
        kind: on sequences, `forward`, `gradient`, `step` (of real training), `hvp` or `third`
            (what the last two add to the pass that they need first); without sequences, `update`
            (one number in the optimizer of a replay), `product` (one multiply-add in a product of
            matrices with P columns) or `hash` (one byte).
        sequences: number of sequences; 0 for the last three kinds.
        narrow: whether the model is the proxy.

    """

    kind: str
    sequences: int = 0
    narrow: bool = False


@dataclass(frozen=True)
class MachineSpeed:
    """The measured speed of a machine.

    Attributes:
        seconds: of each operation.
        bytes: of memory that each kind of pass adds to `base`, per sequence, for the study's model.
        base: bytes that a job holds before it computes.
        start: CPU seconds of a process before it computes, mostly for imports.

    """

    seconds: dict[Operation, float]
    bytes: dict[str, float]
    base: int
    start: float


def measure_speed(
    operations: Iterable[Operation],
    model: LanguageModel,
    narrow: LanguageModel,
    tokens: Callable[[int], torch.Tensor],
    optimizer: Optimizer,
    largest: int | None = None,
) -> MachineSpeed:
    """Return the time of each operation, the median of a few repetitions if it is short.

    Args:
        operations: what to time.
        model: the study's model.
        narrow: the proxy.
        tokens: maps a number n of sequences to random ones, (n, L) int64.
        optimizer: the study's optimizer.
        largest: largest number of sequences of a timed pass. A pass of more sequences is taken to
            need time in proportion to them, and its memory is overestimated. None: no limit.

    """
    start, base, seconds, added = time.process_time(), peak_bytes(), {}, {}
    ordered = sorted(
        operations, key=lambda operation: (KINDS.index(operation.kind), operation.sequences)
    )
    for operation in ordered:
        timed = replace(operation, sequences=min(operation.sequences, largest or sys.maxsize))
        share = operation.sequences / timed.sequences if timed.sequences else 1
        seconds[operation] = share * _seconds(
            timed, narrow if operation.narrow else model, tokens, optimizer
        )
        if operation.sequences and not operation.narrow:
            added[operation.kind] = (peak_bytes() - base) / timed.sequences
    return MachineSpeed(seconds, added, base, start)


def _seconds(
    operation: Operation,
    model: LanguageModel,
    tokens: Callable[[int], torch.Tensor],
    optimizer: Optimizer,
) -> float:
    if not operation.sequences:
        return _plain(operation.kind, model, optimizer)
    batch = tokens(operation.sequences)
    seconds = _timed(_passes(operation.kind, model, batch, optimizer.config))
    if operation.kind in _INSIDE:
        first = _passes(_INSIDE[operation.kind], model, batch, optimizer.config)
        seconds = max(0.0, seconds - _timed(first))
    return seconds


def _passes(
    kind: str, model: LanguageModel, tokens: torch.Tensor, config: OptimizerConfig
) -> Callable[[], Any]:
    """Return the pass of a kind, including the pass that it needs first."""
    theta = model.parameters()
    loss = partial(model.loss, tokens=tokens)
    if kind == "forward":
        return partial(_forward, loss, theta)
    if kind == "gradient":
        return partial(gradient, loss, theta)
    if kind == "step":
        return partial(_step, model, tokens, torch_optimizer(model, config))
    order = {"hvp": 1, "third": 2}[kind]
    return lambda: list(taylor_gradients(loss, theta, theta[None], order))


@torch.no_grad()
def _forward(loss: Callable[[torch.Tensor], torch.Tensor], theta: torch.Tensor) -> torch.Tensor:
    return loss(theta)


def _step(model: LanguageModel, tokens: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    loss = model.module_loss(tokens)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _plain(kind: str, model: LanguageModel, optimizer: Optimizer) -> float:
    """Return the seconds of one number, one multiply-add or one byte."""
    if kind == "hash":
        content = bytes(_BYTES)
        return _timed(lambda: hashlib.sha256(content)) / _BYTES
    rows = torch.rand(min(_ROWS, batch_size(model.size)), model.size)
    if kind == "product":
        return _timed(lambda: (rows @ rows.T) @ rows) / (2 * len(rows) * rows.numel())
    state = State(rows.clone(), rows.clone(), rows.clone(), 0)

    def update() -> None:
        gradients = rows[torch.arange(len(rows))] / 1  # a mean of gradients from a table
        for block, columns in parts(*rows.shape):
            optimizer.apply(state.rows(block).columns(columns), gradients[block, columns])

    return _timed(update) / rows.numel()


def _timed(work: Callable[[], Any]) -> float:
    """Return the median seconds of `work` after a first repetition, or of the first if it is long.

    One thread is timed in CPU seconds, so that other processes do not count. Several threads or a
    GPU are timed in wall-clock seconds.
    """
    single_thread = torch.get_num_threads() == 1 and not torch.cuda.is_initialized()
    clock = time.process_time if single_thread else time.perf_counter

    def once() -> float:
        begun = clock()
        work()
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        return clock() - begun

    if (first := once()) > _LONG_SECONDS:
        return first
    taken: list[float] = []
    while len(taken) < _REPETITIONS and sum(taken) < _ENOUGH_SECONDS:
        taken.append(once())
    return statistics.median(taken)
