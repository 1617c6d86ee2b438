"""What one piece of a study's work costs on this machine, timed on random tokens."""

import hashlib
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from trainorder.config.sections import OptimizerConfig
from trainorder.evaluation.replaying import BATCH_NUMBERS
from trainorder.expansion.replay import parts
from trainorder.numerics.derivatives import gradient, taylor_gradients
from trainorder.training.meter import peak_bytes
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import Optimizer, State
from trainorder.training.trainer import torch_optimizer

# The passes that hold more memory come later, so that what each adds to the peak can be told.
KINDS = ("forward", "gradient", "step", "hvp", "third", "update", "product", "hash")
_INSIDE = {"hvp": "gradient", "third": "hvp"}  # what a pass does first, and is counted apart
_REPETITIONS, _ENOUGH_SECONDS = 5, 0.5
_ROWS = 64  # of the matrices that products and updates are timed with: more than caches hold
_BYTES = 2**24  # hashed


@dataclass(frozen=True)
class Unit:
    """A piece of work that is timed.

    Attributes:
        kind: `step` (of real training), `gradient`, `hvp` and `third` (what they add to the pass
            that they need first), `forward`, each on some sequences; `update` (a number through
            the optimizer in a replay), `product` (a multiplication and addition in a product of
            matrices as wide as the model has parameters), `hash` (a byte).
        sequences: that it is done on; 0 where it is on none.
        narrow: whether it is the proxy's.

    """

    kind: str
    sequences: int = 0
    narrow: bool = False


@dataclass(frozen=True)
class Rates:
    """What was timed.

    Attributes:
        seconds: of each unit.
        bytes: of memory that each kind of pass adds to `base`, for one sequence of the model.
        base: bytes that a job holds before it computes.
        start: processor seconds of a process until it begins to compute, most of them imports.

    """

    seconds: dict[Unit, float]
    bytes: dict[str, float]
    base: int
    start: float


def calibrate(
    units: Iterable[Unit],
    model: LanguageModel,
    narrow: LanguageModel,
    tokens: Callable[[int], torch.Tensor],
    optimizer: Optimizer,
) -> Rates:
    """Time `units`, each a few times after one that does not count.

    Args:
        units: what to time; of the passes of the model each kind that is wanted.
        model: the study's.
        narrow: the proxy's.
        tokens: maps a number n of sequences to random ones, (n, L) int64.
        optimizer: the study's.

    """
    start, base, seconds, added = time.process_time(), peak_bytes(), {}, {}
    ordered = sorted(units, key=lambda unit: (KINDS.index(unit.kind), unit.sequences))
    for unit in ordered:
        seconds[unit] = _seconds(unit, narrow if unit.narrow else model, tokens, optimizer)
        if unit.sequences and not unit.narrow:
            added[unit.kind] = (peak_bytes() - base) / unit.sequences
    return Rates(seconds, added, base, start)


def _seconds(
    unit: Unit,
    model: LanguageModel,
    tokens: Callable[[int], torch.Tensor],
    optimizer: Optimizer,
) -> float:
    if not unit.sequences:
        return _plain(unit.kind, model, optimizer)
    found = _timed(_passes(unit.kind, model, tokens(unit.sequences), optimizer.config))
    if unit.kind in _INSIDE:
        first = _passes(_INSIDE[unit.kind], model, tokens(unit.sequences), optimizer.config)
        found = max(0.0, found - _timed(first))
    return found


def _passes(
    kind: str, model: LanguageModel, tokens: torch.Tensor, config: OptimizerConfig
) -> Callable[[], Any]:
    """Return the pass of a kind, what it needs first included."""
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
    """Return the seconds of one number, one multiplication or one byte."""
    if kind == "hash":
        content = bytes(_BYTES)
        return _timed(lambda: hashlib.sha256(content)) / _BYTES
    rows = torch.rand(max(1, min(_ROWS, BATCH_NUMBERS // model.size)), model.size)
    if kind == "product":
        return _timed(lambda: (rows @ rows.T) @ rows) / (2 * len(rows) * rows.numel())
    state = State(rows.clone(), rows.clone(), rows.clone(), 0)

    def update() -> None:
        gradients = rows[torch.arange(len(rows))] / 1  # the mean of those picked from a table
        for some, columns in parts(*rows.shape):
            optimizer.apply(state.rows(some).columns(columns), gradients[some, columns])

    return _timed(update) / rows.numel()


def _timed(work: Callable[[], Any]) -> float:
    """Return the median of the seconds of `work`.

    Those of the processor, so that what else runs on the machine does not count; of several threads
    or a GPU those of the clock.
    """
    alone = torch.get_num_threads() == 1 and not torch.cuda.is_initialized()
    clock = time.process_time if alone else time.perf_counter

    def once() -> float:
        begun = clock()
        work()
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        return clock() - begun

    once()
    taken: list[float] = []
    while len(taken) < _REPETITIONS and sum(taken) < _ENOUGH_SECONDS:
        taken.append(once())
    return statistics.median(taken)
