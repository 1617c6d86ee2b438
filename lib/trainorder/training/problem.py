"""The learning problem of a study: the losses of units and the held-out losses."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from trainorder.config.sections.model import ModelConfig
from trainorder.data.corpus import Corpus
from trainorder.data.metrics import metric_names
from trainorder.data.multiple_choice import questions
from trainorder.errors import DivergedError
from trainorder.numerics import large_tensors
from trainorder.numerics.derivatives import gradient
from trainorder.training.device import prepared
from trainorder.training.meter import Meter
from trainorder.training.model import LanguageModel


class Problem(Protocol):
    """A problem whose units have differentiable losses, such as `LanguageProblem`.

    Attributes:
        size: P, the number of trained parameters.
        units: U, the number of units.
        sequences: sequences per unit.
        meter: counter of passes; the losses count themselves, see `count_loss`.
        loss_scale: that of the units' losses; losses are reported without it.

    """

    size: int
    units: int
    sequences: int
    meter: Meter
    loss_scale: float

    @property
    def goals(self) -> Sequence[str]:
        """Names of the goals: the held-out losses that are estimated."""
        ...

    def loss(self, theta: Tensor, unit: int) -> Tensor:
        """Return the loss of one unit at `theta` (P,) as a differentiable scalar."""
        ...

    def sample_loss(self, theta: Tensor, rows: np.ndarray) -> Tensor:
        """Return the mean loss of n sequences; `rows` (n, 2) int64 lists their unit and index."""
        ...

    def goal_loss(self, theta: Tensor, goal: int) -> Tensor:
        """Return the loss of one goal at `theta` (P,) as a differentiable scalar."""
        ...


@dataclass
class LanguageProblem:
    """The language model with the corpus of a study.

    Attributes:
        model: the model.
        corpus: the token sequences.
        meter: counter of passes.
        questions: (D, C, n, L) sequences of a multiple-choice task, as `data.multiple_choice`
            describes; None for no task.
        loss_scale: that of an existing run, a factor of the training losses `loss`, `sample_loss`
            and `batch_loss`. Losses that are evaluated are without it.

    """

    model: LanguageModel
    corpus: Corpus
    meter: Meter
    questions: np.ndarray | None = None
    loss_scale: float = 1.0

    def __post_init__(self) -> None:
        """Store the tokens as tensors on the device of the model."""
        self.size = self.meter.parameters = self.model.size
        self.units, self.sequences = self.corpus.units.shape[:2]
        self._tokens = self._on_device(self.corpus.units)
        self._heldout = self._on_device(self.corpus.heldout)
        self._questions = None if self.questions is None else self._on_device(self.questions)

    def _on_device(self, tokens: np.ndarray) -> Tensor:
        return torch.from_numpy(tokens.astype(np.int64)).to(self.model.device)

    @property
    def goals(self) -> list[str]:
        """The domains, one held-out loss each."""
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
        choices: Mapping[str, int] | None = None,
        loss_scale: float = 1.0,
    ) -> "LanguageProblem":
        """Return the problem of a corpus file with a float32 model.

        Torch uses `threads` threads and deterministic algorithms in this process from then on.

        Args:
            corpus: the corpus file.
            meter: counter of passes; it also stores the name of the GPU and the model's commit.
            key: the study key that the corpus must have; None accepts any key.
            model: the fields of `ModelConfig`.
            seed: seed of new weights.
            threads: number of CPU threads.
            device: `auto`, `cpu` or `cuda`.
            choices: `count` and `seed` of the multiple-choice task; None for no task.
            loss_scale: that of the training losses.

        Raises:
            UserError: the corpus is missing, damaged or belongs to another study or is too small
                for the task, the model cannot be loaded, or `device` is `cuda` without a GPU.

        """
        torch.set_num_threads(threads)
        torch_device = prepared(device)
        if torch_device.type == "cuda":
            meter.gpu = torch.cuda.get_device_name(torch_device)
        loaded_corpus = Corpus.load(corpus, key)
        language_model = LanguageModel(
            ModelConfig(**model),
            vocabulary=loaded_corpus.vocabulary,
            length=loaded_corpus.units.shape[-1],
            seed=seed,
            dtype=torch.float32,
            device=torch_device,
        )
        meter.model_commit = language_model.commit
        task = None if choices is None else questions(loaded_corpus.heldout, **choices)
        return cls(language_model, loaded_corpus, meter, task, loss_scale)

    def loss(self, theta: Tensor, unit: int) -> Tensor:
        """Return the mean loss of `unit` at `theta` (P,), `loss_scale` times nats per token."""
        return self._training_loss(theta, self._tokens[unit])

    def sample_loss(self, theta: Tensor, rows: np.ndarray) -> Tensor:
        """Return the mean loss of n sequences at `theta` (P,), as `loss`.

        `rows` is (n, 2) int64: the unit and the index of the sequence within the unit.
        """
        return self._training_loss(theta, self.sample(rows))

    def batch_loss(self, theta: Tensor, units: np.ndarray) -> Tensor:
        """Return the mean loss of `units` (k,) at `theta` (P,), as `loss`."""
        return self._training_loss(theta, self.batch(units))

    def goal_loss(self, theta: Tensor, goal: int) -> Tensor:
        """Return the held-out loss of domain number `goal` at `theta` (P,) in nats per token."""
        return self._loss(theta, self._heldout[goal])

    def _training_loss(self, theta: Tensor, tokens: Tensor) -> Tensor:
        loss = self._loss(theta, tokens)
        return loss if self.loss_scale == 1 else loss * self.loss_scale

    def _loss(self, theta: Tensor, tokens: Tensor) -> Tensor:
        count_loss(self.meter, theta, len(tokens))
        return self.model.loss(theta, tokens)

    def batch(self, units: np.ndarray) -> Tensor:
        """Return the sequences (k * unit_size, L) int64 of `units` (k,)."""
        return self._tokens[torch.from_numpy(units)].flatten(0, 1)

    def sample(self, rows: np.ndarray) -> Tensor:
        """Return n sequences (n, L) int64; `rows` (n, 2) int64 lists their unit and index."""
        units, sequences = torch.from_numpy(rows).T
        return self._tokens[units, sequences]

    def warmup_batch(self, step: int, sequences: int) -> Tensor:
        """Return the warm-up sequences (`sequences`, L) int64 of one warm-up step."""
        rows = self.corpus.warmup[step * sequences : (step + 1) * sequences]
        return self._on_device(rows)

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that `evaluate` returns."""
        return metric_names(self.corpus.domains)

    def evaluate(self, theta: Tensor) -> np.ndarray:
        """Return the held-out losses (D + 1,) float64 at `theta` (P,) in nats per token.

        The first is the mean over the D domains. The others are the losses of the domains, in the
        sequence of `metrics`.
        """
        with torch.no_grad():
            losses = [float(self.goal_loss(theta, goal)) for goal in range(len(self.goals))]
        return np.array([float(np.mean(losses)), *losses])

    def choice_losses(self, theta: Tensor) -> np.ndarray:
        """Return the losses (D, C, n) float64 of the choices of each question at `theta` (P,).

        They are in nats per token of the continuation. The right choice comes first.
        """
        assert self._questions is not None
        losses = []
        with torch.no_grad():
            for tokens in self._questions.flatten(0, 1):  # one choice of all questions of a domain
                count_loss(self.meter, theta, len(tokens))
                losses.append(self.model.sequence_losses(theta, tokens).double().cpu().numpy())
        return np.stack(losses).reshape(self._questions.shape[:3])

    def unit_loss(self, theta: Tensor, unit: int) -> float:
        """Return the mean loss of `unit` at `theta` (P,) in nats per token."""
        with torch.no_grad():
            return float(self.loss(theta, unit)) / self.loss_scale

    def unit_losses(self, theta: Tensor) -> np.ndarray:
        """Return the losses (U,) float64 of all units at `theta` (P,) in nats per token.

        Raises:
            DivergedError: a loss is not finite.

        """
        with torch.no_grad():
            losses = [self.unit_loss(theta, unit) for unit in range(self.units)]
        for unit, loss in enumerate(losses):
            if not math.isfinite(loss):
                raise DivergedError(
                    f"warm model: the loss of unit {unit} is {loss}; lower optimizer.learning_rate"
                )
        return np.array(losses)


def count_loss(meter: Meter, theta: Tensor, sequences: int) -> None:
    """Count a loss of `sequences` at `theta` (P,): as a gradient if autograd records it.

    Every recorded loss is differentiated once. Further derivatives are counted where they are
    computed.
    """
    is_recorded = theta.requires_grad and torch.is_grad_enabled()
    meter.add("gradients" if is_recorded else "losses", sequences)


def each_gradient(problem: Problem, theta: Tensor) -> Iterator[Tensor]:
    """Yield the gradient (P,) of each unit's loss at `theta` (P,)."""
    for unit in range(problem.units):
        yield gradient(partial(problem.loss, unit=unit), theta)


def add_mean_gradient(problem: Problem, theta: Tensor, units: Sequence[int], total: Tensor) -> None:
    """Write the mean gradient of `units` at `theta` (P,) into `total` (P,), which is zero."""
    for unit in units:
        total += gradient(partial(problem.loss, unit=unit), theta)
        large_tensors.release_pages()
    total /= len(units)


def unit_gradients(problem: Problem, theta: Tensor) -> Tensor:
    """Return the gradients (U, P) of the losses of all units at `theta` (P,)."""
    shape = (problem.units, problem.size)
    return large_tensors.stack(each_gradient(problem, theta), shape, theta.dtype)


def goal_gradients(problem: Problem, theta: Tensor) -> Tensor:
    """Return the gradients (D, P) of the losses of all D goals at `theta` (P,)."""
    goals = range(len(problem.goals))
    rows = (gradient(partial(problem.goal_loss, goal=goal), theta) for goal in goals)
    return large_tensors.stack(rows, (len(goals), problem.size), theta.dtype)
