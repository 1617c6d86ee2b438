"""AdamW as plain tensor arithmetic, for replaying many schedules at once.

The truth is trained by `torch.optim.AdamW` and shares nothing with this file.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from trainorder.config import OptimizerConfig

MOMENTS = ("parameters", "exp_avg", "exp_avg_sq")  # the tensors of a state
ALL = slice(None)  # the parameters, where a block of them might stand


@dataclass
class State:
    """Parameters and Adam moments, each (..., P), and the number of updates made so far."""

    parameters: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor
    step: int

    def clone(self) -> "State":
        """Return a copy that shares nothing."""
        m, v = self.exp_avg.clone(), self.exp_avg_sq.clone()
        return State(self.parameters.clone(), m, v, self.step)

    def rows(self, rows: slice) -> "State":
        """Return views of some of the stacked states; changing them in place changes these."""
        return State(self.parameters[rows], self.exp_avg[rows], self.exp_avg_sq[rows], self.step)

    def columns(self, columns: slice) -> "State":
        """Return views of a block of the parameters and their moments, as `rows` does."""
        m, v = self.exp_avg[..., columns], self.exp_avg_sq[..., columns]
        return State(self.parameters[..., columns], m, v, self.step)


class AdamW:
    """Decoupled weight decay Adam (Loshchilov and Hutter 2019, algorithm 2), in place.

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
    theta <- theta - eta_t [ m_hat / (sqrt(v_hat) + eps) + lambda theta ]
    """

    def __init__(self, config: OptimizerConfig, horizon: int) -> None:
        """Fix the schedule over `horizon` steps, warm-up training and window together."""
        self.config = config
        self.horizon = horizon

    def learning_rate(self, step: int) -> float:
        """Return eta of 0-based `step`: linear from 0, then constant or cosine."""
        c = self.config
        if step < c.linear_warmup_steps:
            return c.learning_rate * step / c.linear_warmup_steps
        if c.schedule == "constant":
            return c.learning_rate
        span = max(1, self.horizon - c.linear_warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * (step - c.linear_warmup_steps) / span))
        return c.learning_rate * (c.final_fraction + (1 - c.final_fraction) * max(0.0, cosine))

    def bias_corrections(self, step: int) -> tuple[float, float]:
        """Return 1 - b1^(step+1) and 1 - b2^(step+1)."""
        return 1 - self.config.beta1 ** (step + 1), 1 - self.config.beta2 ** (step + 1)

    def second_moment(self, state: State) -> Tensor:
        """Return v_hat (..., P) of the last update of `state`; before the first one, v itself."""
        _, correction = self.bias_corrections(state.step - 1) if state.step else (1.0, 1.0)
        return state.exp_avg_sq / correction

    def preconditioner(self, state: State) -> Tensor:
        """Return 1 / (sqrt(v_hat) + eps) of the last update of `state`, (..., P)."""
        return 1 / (self.second_moment(state).sqrt() + self.config.epsilon)

    def clip(self, gradient: Tensor) -> Tensor:
        """Scale each gradient (..., P) down to the configured norm, as torch's clip_grad_norm_."""
        if self.config.gradient_clip is None:
            return gradient
        norm = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
        scaled: Tensor = gradient * (self.config.gradient_clip / (norm + 1e-6)).clamp(max=1.0)
        return scaled

    def update(self, state: State, gradient: Tensor, square: Tensor | None = None) -> None:
        """Apply one step to `state` in place.

        Args:
            state: (..., P) tensors.
            gradient: (..., P).
            square: (..., P), what stands for g^2 in the second moment; the barycentre's expected
                square where it is not the square of `gradient`.

        """
        c = self.config
        gradient = self.clip(gradient)
        rate = self.learning_rate(state.step)
        correction1, correction2 = self.bias_corrections(state.step)
        state.parameters.mul_(1 - rate * c.weight_decay)
        state.exp_avg.lerp_(gradient, 1 - c.beta1)
        state.exp_avg_sq.mul_(c.beta2)
        if square is None:
            state.exp_avg_sq.addcmul_(gradient, gradient, value=1 - c.beta2)
        else:
            state.exp_avg_sq.add_(square, alpha=1 - c.beta2)
        denominator = (state.exp_avg_sq.sqrt() / math.sqrt(correction2)).add_(c.epsilon)
        state.parameters.addcdiv_(state.exp_avg, denominator, value=-rate / correction1)
        state.step += 1
