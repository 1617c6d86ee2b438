"""A study's learning problem: the loss of each unit, and what a parameter vector is judged by."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from trainorder.config.sections import ModelConfig
from trainorder.data.corpus import Corpus
from trainorder.data.metrics import metric_names
from trainorder.errors import DivergedError
from trainorder.numerics import large_tensors
from trainorder.numerics.derivatives import gradient
from trainorder.training.device import prepared
from trainorder.training.meter import Meter
from trainorder.training.model import LanguageModel


class Problem(Protocol):
    """Anything with units whose loss can be differentiated; see `LanguageProblem`."""

    size: int
    units: int
    sequences: int  # in a unit
    meter: Meter

    @property
    def goals(self) -> Sequence[str]:
        """Names of the losses that estimates are made for."""
        ...

    def loss(self, theta: Tensor, unit: int) -> Tensor:
        """Return the loss of one unit at `theta` (P,), a differentiable scalar."""
        ...

    def sample_loss(self, theta: Tensor, rows: np.ndarray) -> Tensor:
        """Return the mean loss of single sequences; `rows` (n, 2) holds unit and sequence."""
        ...

    def goal_loss(self, theta: Tensor, goal: int) -> Tensor:
        """Return one of the losses that estimates are made for, a differentiable scalar."""
        ...


@dataclass
class LanguageProblem:
    """The language model on a study's corpus."""

    model: LanguageModel
    corpus: Corpus
    meter: Meter

    def __post_init__(self) -> None:
        """Keep the tokens as tensors on the model's device."""
        self.size = self.model.size
        self.units, self.sequences = self.corpus.units.shape[:2]
        self._tokens = self._on_device(self.corpus.units)
        self._heldout = self._on_device(self.corpus.heldout)

    def _on_device(self, tokens: np.ndarray) -> Tensor:
        return torch.from_numpy(tokens.astype(np.int64)).to(self.model.device)

    @property
    def goals(self) -> list[str]:
        """The domains: each has a held-out loss."""
        return self.corpus.domains

    @classmethod
    def load(
        cls,
        corpus: str,
        meter: Meter,
        key: str | None,
        model: dict[str, Any],
        seed: int,
        threads: int,
        device: str = "cpu",
    ) -> "LanguageProblem":
        """Build the float32 model for the corpus file of study `key`, of any study if None.

        Torch uses `threads` threads and deterministic algorithms from here on. `model` holds the
        fields of `ModelConfig`; `device` is `auto`, `cpu` or `cuda`.

        Raises:
            UserError: the corpus is missing, damaged or of another study, or there is no GPU.

        """
        torch.set_num_threads(threads)
        place = prepared(device)
        if place.type == "cuda":
            meter.gpu = torch.cuda.get_device_name(place)
        text = Corpus.load(corpus, key)
        length = text.units.shape[-1]
        language_model = LanguageModel(
            ModelConfig(**model), text.vocabulary, length, seed, torch.float32, place
        )
        return cls(language_model, text, meter)

    def loss(self, theta: Tensor, unit: int) -> Tensor:
        """Return the mean loss of `unit` at `theta` (P,) in nats per token."""
        return self.model.loss(theta, self._tokens[unit])

    def sample_loss(self, theta: Tensor, rows: np.ndarray) -> Tensor:
        """Return the mean loss of single sequences at `theta` (P,) in nats per token.

        `rows` is (n, 2) int64: the unit, and the sequence within it.
        """
        units, sequences = torch.from_numpy(rows).T
        return self.model.loss(theta, self._tokens[units, sequences])

    def goal_loss(self, theta: Tensor, goal: int) -> Tensor:
        """Return the held-out loss of a domain at `theta` (P,) in nats per token."""
        return self.model.loss(theta, self._heldout[goal])

    def batch(self, units: np.ndarray) -> Tensor:
        """Return the sequences of the given units, (k * unit_size, L) int64."""
        return self._tokens[torch.from_numpy(units)].flatten(0, 1)

    def warmup_batch(self, step: int, sequences: int) -> Tensor:
        """Return the `sequences` warm-up sequences of one warm-up step, (n, L) int64."""
        rows = self.corpus.warmup[step * sequences : (step + 1) * sequences]
        return self._on_device(rows)

    @property
    def metrics(self) -> list[str]:
        """Names of what `evaluate` returns."""
        return metric_names(self.corpus.domains)

    def evaluate(self, theta: Tensor) -> np.ndarray:
        """Return the held-out losses at `theta` in nats per token.

        The first is the mean over domains, then one a domain, as `metrics` names them; float64.
        """
        with torch.no_grad():
            losses = [float(self.model.loss(theta, tokens)) for tokens in self._heldout]
        self.meter.add("forwards", len(losses))
        return np.array([float(np.mean(losses)), *losses])

    def unit_losses(self, theta: Tensor) -> np.ndarray:
        """Return the loss of every unit at `theta`, (U,) float64.

        Raises:
            DivergedError: one of them is not finite.

        """
        with torch.no_grad():
            losses = [float(self.loss(theta, unit)) for unit in range(self.units)]
        self.meter.add("forwards", len(losses))
        for unit, loss in enumerate(losses):
            if not math.isfinite(loss):
                raise DivergedError(
                    f"warm model: the loss of unit {unit} is {loss}; lower optimizer.learning_rate"
                )
        return np.array(losses)


def each_gradient(problem: Problem, theta: Tensor) -> Iterator[Tensor]:
    """Yield the gradient (P,) of each unit's loss at `theta` (P,)."""
    for unit in range(problem.units):
        yield gradient(partial(problem.loss, unit=unit), theta)
        problem.meter.add("gradients")


def unit_gradients(problem: Problem, theta: Tensor) -> Tensor:
    """Return the gradient of every unit at `theta` (P,), (U, P)."""
    shape = (problem.units, problem.size)
    return large_tensors.stack(each_gradient(problem, theta), shape, theta.dtype)


def goal_gradients(problem: Problem, theta: Tensor) -> Tensor:
    """Return the gradients (D, P) of the goals at `theta` (P,)."""
    goals = range(len(problem.goals))
    problem.meter.add("goals", len(goals))
    rows = (gradient(partial(problem.goal_loss, goal=goal), theta) for goal in goals)
    return large_tensors.stack(rows, (len(goals), problem.size), theta.dtype)
