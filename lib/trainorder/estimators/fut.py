"""`fut`: the published replay of Yang et al. 2025, an expansion of Adam's update itself.

Known second-hand, from reviews and summaries of the paper: the moments are those of the expansion
path, and the Hessian is an element-wise secant along it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import trange

from trainorder.expansion.expansion import Expansion
from trainorder.expansion.replay import Estimator, Observe, parts
from trainorder.training.optimizer import AdamW


@dataclass
class Update:
    """Adam's update Gamma(g) = m_hat / (sqrt(v_hat) + eps) and its derivatives in g, each (O, P).

    m_hat and v_hat are affine and quadratic in g, with the moments before the step held fixed.
    Where v_hat is 0, g and its derivatives are taken as 0: the square root has none there.
    """

    value: Tensor
    first: Tensor
    second: Tensor


def adam_update(expansion: Expansion, t: int, g: Tensor) -> Update:
    """Return Gamma at gradients `g` (O, P), with the path's moments before step `t`."""
    if not isinstance(expansion.optimizer, AdamW):
        raise ValueError("Gamma is Adam's update, and the optimizer is another")
    c = expansion.optimizer.config
    state = expansion.state(t)
    correction1, correction2 = expansion.optimizer.bias_corrections(state.step)
    m = (c.beta1 * state.exp_avg + (1 - c.beta1) * g) / correction1
    v = (c.beta2 * state.exp_avg_sq + (1 - c.beta2) * g * g) / correction2
    a, b = (1 - c.beta1) / correction1, (1 - c.beta2) / correction2
    root = v.sqrt()
    d = root + c.epsilon
    slope = torch.where(root > 0, b * g / root, 0)  # d root / dg, at most sqrt(b)
    bend = torch.where(root > 0, (b - slope**2) / root, 0)  # d^2 root / dg^2
    first = a / d - m * slope / d**2
    second = -2 * a * slope / d**2 - m * bend / d**2 + 2 * m * slope**2 / d**3
    return Update(m / d, first, second)


class FUT(Estimator):
    """Gamma(gamma) = Gamma(theta_t) + d dGamma/dg h, element by element (Yang et al. 2025, FUT).

    h is the secant (G[t, s] - G[t-1, s]) / (theta_t - theta_{t-1}), 0 where the path stands still
    and at t = 0. `guard` bounds the absolute value of the correction; None leaves it free.
    """

    def __init__(self, expansion: Expansion, guard: float | None) -> None:
        """Expand about `expansion` with corrections clipped to +-`guard`."""
        super().__init__(expansion)
        self.guard = guard

    def replay(self, schedules: Tensor, observe: Observe) -> Tensor:
        """Apply the expanded update of each step, with the moments of the path."""
        count, steps, _ = schedules.shape
        parameters = self.expansion.path.parameters(0).repeat(count, 1)
        for t in trange(steps, desc="replay", mininterval=2):
            observe(t, parameters)
            for rows, columns in parts(count, parameters.shape[1]):
                block = type(self)(self.expansion.block(columns), self.guard)
                block._step(t, schedules[rows, t], parameters[rows, columns])
        observe(steps, parameters)
        return parameters

    def _step(self, t: int, units: Tensor, parameters: Tensor) -> None:
        """Advance `parameters` (O, P) in place by the expanded update of step `t`."""
        about = self.expansion
        update = adam_update(about, t, about.gradients(t, units))
        correction = self.correction(t, units, update, parameters - about.parameters(t))
        if self.guard is not None:
            correction.clamp_(-self.guard, self.guard)
        rate = about.optimizer.learning_rate(about.path.first_step + t)
        parameters *= 1 - rate * about.optimizer.config.weight_decay
        parameters -= rate * (update.value + correction)

    def correction(self, t: int, units: Tensor, update: Update, delta: Tensor) -> Tensor:
        """Return d dGamma/dg h, (O, P)."""
        return delta * update.first * self.secant(t, units)

    def secant(self, t: int, units: Tensor) -> Tensor:
        """Return h (O, P), the element-wise secant Hessian of `units` (O, k) at step `t`."""
        if t == 0:
            return torch.zeros(())
        rise = self.expansion.gradients(t, units) - self.expansion.gradients(t - 1, units)
        return self._per_step(t, rise)

    def _per_step(self, t: int, rise: Tensor) -> Tensor:
        """Divide by theta_t - theta_{t-1}, giving 0 where that is 0."""
        run = self.expansion.parameters(t) - self.expansion.parameters(t - 1)
        return torch.where(run != 0, rise / run, 0)
