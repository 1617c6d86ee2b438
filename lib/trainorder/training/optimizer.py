"""AdamW and SGD as element-wise arithmetic on tensors that may stack several states.

Replays (`expansion/replay.py`), the barycentre path and the verification of existing runs use it.
True retrainings use `torch.optim` and share no code with this file.
"""

import copy
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.numerics import large_tensors
from trainorder.training.learning_rates import learning_rate

MOMENTS = ("parameters", "exp_avg", "exp_avg_sq")  # the tensors of a state
ALL = slice(None)  # all parameters, instead of a block of columns


@dataclass
class State:
    """Parameters and moments, each (..., P), and the number of updates so far.

    For SGD, `exp_avg` is the momentum buffer and `exp_avg_sq` is zero.
    """

    parameters: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor
    step: int

    def clone(self) -> "State":
        """Return a copy that shares no memory."""
        theta, m, v = (large_tensors.copy(getattr(self, name)) for name in MOMENTS)
        return State(theta, m, v, self.step)

    def rows(self, rows: slice) -> "State":
        """Return views of some of the stacked states; in-place changes affect both."""
        return State(self.parameters[rows], self.exp_avg[rows], self.exp_avg_sq[rows], self.step)

    def columns(self, columns: slice) -> "State":
        """Return views of a block of the parameters and their moments."""
        m, v = self.exp_avg[..., columns], self.exp_avg_sq[..., columns]
        return State(self.parameters[..., columns], m, v, self.step)


class Optimizer(ABC):
    """In-place updates with a learning-rate schedule and gradient clipping.

    Every optimizer has the form

        m <- b m + (1 - b) (g + coupled theta)
        theta <- (1 - eta_t decoupled) theta - eta_t P m / c

    where m is the average of the gradients, c its bias correction and P a diagonal preconditioner.

    Attributes:
        adaptive: whether P depends on the gradients; otherwise it is constant.
        betas: the decay factors per step of m (b above) and of the second moment.
        decoupled: the weight decay that is applied to the parameters directly.
        coupled: the weight decay that is added to the gradient.
        decayed: which parameters have weight decay, (P,) bool; None if all of them have.

    """

    adaptive: bool
    betas: tuple[float, float]
    decoupled: float = 0.0
    coupled: float = 0.0

    def __init__(
        self, config: OptimizerConfig, horizon: int, decayed: Tensor | None = None
    ) -> None:
        """Take the settings, the number of updates at the window's end, and `decayed`."""
        self.config = config
        self.horizon = horizon
        self.decayed = decayed

    def columns(self, columns: slice) -> Self:
        """Return the optimizer of a block of the parameters."""
        if self.decayed is None:
            return self
        part = copy.copy(self)
        part.decayed = self.decayed[columns]
        return part

    def shrink(self, parameters: Tensor, step: int) -> None:
        """Apply the decoupled weight decay of 0-based `step` to `parameters` (..., P), in place."""
        kept = 1 - self.learning_rate(step) * self.decoupled
        if self.decayed is None:
            parameters.mul_(kept)
            return
        factor, one = torch.tensor([kept, 1], dtype=parameters.dtype)
        parameters.mul_(torch.where(self.decayed, factor, one))

    def pull(self, gradient: Tensor, parameters: Tensor) -> None:
        """Add the coupled weight decay of `parameters` (..., P) to `gradient`, in place."""
        if self.coupled:
            pulled = parameters if self.decayed is None else parameters * self.decayed
            gradient.add_(pulled, alpha=self.coupled)

    def learning_rate(self, step: int) -> float:
        """Return eta_t of 0-based `step`, counted from the beginning of training."""
        return learning_rate(self.config, step, self.horizon)

    def clip_scale(self, norm: Tensor) -> Tensor:
        """Return the clipping factor (...) for gradients of `norm` (...), as in clip_grad_norm_."""
        largest = self.config.gradient_clip or math.inf
        scale: Tensor = (largest / (norm + 1e-6)).clamp(max=1.0)
        return scale

    @abstractmethod
    def bias_corrections(self, step: int) -> tuple[float, float]:
        """Return the bias corrections of m (c above) and of the second moment at 0-based `step`."""

    @abstractmethod
    def average(self, state: State) -> Tensor:
        """Return m (..., P) of `state`."""

    @abstractmethod
    def second_moment(self, state: State) -> Tensor:
        """Return v_hat (..., P) of the last update of `state`; ones if the optimizer has none."""

    @abstractmethod
    def preconditioner(self, state: State) -> Tensor:
        """Return P of the last update of `state`, (..., P)."""

    def update(self, state: State, gradient: Tensor) -> None:
        """Clip `gradient` (..., P) and apply one step to `state`, (..., P) tensors, in place."""
        scale = self.clip_scale(torch.linalg.vector_norm(gradient, dim=-1, keepdim=True))
        for columns in large_tensors.column_blocks(scale.numel(), gradient.shape[-1]):
            part = state.columns(columns)
            self.columns(columns).apply(part, gradient[..., columns] * scale)
        state.step += 1

    @abstractmethod
    def apply(self, state: State, gradient: Tensor, square: Tensor | None = None) -> None:
        """Apply one step to `state` in place, or to a block of it.

        Args:
            state: (..., n) tensors.
            gradient: (..., n), clipped.
            square: (..., n), replaces g^2 in the second moment; None uses the square of
                `gradient`. The barycentre path passes the expected square of a random step.

        """


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2).

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
    theta <- theta - eta_t [ m_hat / (sqrt(v_hat) + eps) + lambda theta ]
    """

    adaptive = True

    def __init__(
        self, config: OptimizerConfig, horizon: int, decayed: Tensor | None = None
    ) -> None:
        super().__init__(config, horizon, decayed)
        self.betas, self.decoupled = (config.beta1, config.beta2), config.weight_decay

    def bias_corrections(self, step: int) -> tuple[float, float]:
        """Return 1 - b1^(step+1) and 1 - b2^(step+1)."""
        return 1 - self.config.beta1 ** (step + 1), 1 - self.config.beta2 ** (step + 1)

    def average(self, state: State) -> Tensor:
        """Return m (..., P) of `state`."""
        return state.exp_avg

    def second_moment(self, state: State) -> Tensor:
        """Return v_hat (..., P) of the last update of `state`; before the first one, v itself."""
        _, correction = self.bias_corrections(state.step - 1) if state.step else (1.0, 1.0)
        return state.exp_avg_sq / correction

    def preconditioner(self, state: State) -> Tensor:
        """Return 1 / (sqrt(v_hat) + eps) of the last update of `state`, (..., P)."""
        return 1 / (self.second_moment(state).sqrt() + self.config.epsilon)

    def apply(self, state: State, gradient: Tensor, square: Tensor | None = None) -> None:
        """Apply one step to `state` in place; see `Optimizer.apply`."""
        c = self.config
        rate = self.learning_rate(state.step)
        correction1, correction2 = self.bias_corrections(state.step)
        self.shrink(state.parameters, state.step)
        state.exp_avg.lerp_(gradient, 1 - c.beta1)
        state.exp_avg_sq.mul_(c.beta2)
        if square is None:
            state.exp_avg_sq.addcmul_(gradient, gradient, value=1 - c.beta2)
        else:
            state.exp_avg_sq.add_(square, alpha=1 - c.beta2)
        denominator = (state.exp_avg_sq.sqrt() / math.sqrt(correction2)).add_(c.epsilon)
        state.parameters.addcdiv_(state.exp_avg, denominator, value=-rate / correction1)
        state.step += 1


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Polyak 1964), as in `torch.optim.SGD`.

    buf <- mu buf + g + lambda theta;  theta <- theta - eta_t buf

    There is no dampening and no Nesterov momentum. With mu = 0 the buffer is the last gradient. The
    buffer is m / (1 - mu), so P = 1 / (1 - mu), the total weight of a gradient over all steps.
    """

    adaptive = False

    def __init__(
        self, config: OptimizerConfig, horizon: int, decayed: Tensor | None = None
    ) -> None:
        super().__init__(config, horizon, decayed)
        self.betas, self.coupled = (config.momentum, 0.0), config.weight_decay

    def bias_corrections(self, step: int) -> tuple[float, float]:
        """Return 1 and 1, because SGD has no bias correction."""
        return 1.0, 1.0

    def average(self, state: State) -> Tensor:
        """Return m = (1 - mu) buf of `state`, (..., P)."""
        return state.exp_avg * (1 - self.config.momentum)

    def second_moment(self, state: State) -> Tensor:
        """Return ones (..., P), because SGD has no second moment."""
        return torch.ones_like(state.exp_avg_sq)

    def preconditioner(self, state: State) -> Tensor:
        """Return 1 / (1 - mu) for every parameter, (..., P)."""
        return torch.full_like(state.parameters, 1 / (1 - self.config.momentum))

    def apply(self, state: State, gradient: Tensor, square: Tensor | None = None) -> None:
        """Apply one step to `state` in place; `square` is ignored."""
        state.exp_avg.mul_(self.config.momentum).add_(gradient)
        self.pull(state.exp_avg, state.parameters)
        state.parameters.sub_(state.exp_avg, alpha=self.learning_rate(state.step))
        state.step += 1


def build_optimizer(
    config: OptimizerConfig, horizon: int, decayed: Tensor | None = None
) -> Optimizer:
    """Return the optimizer that a checked `config` names; see `Optimizer` for the rest."""
    return {"adamw": AdamW, "sgd": SGD}[config.name](config, horizon, decayed)
