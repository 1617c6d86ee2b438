"""`fut` and `fut++`: the published replays of Yang et al. 2025, which expand Adam's update itself.

The moments are those of the expansion path, and the Hessian is an element-wise secant along it.
The full text of the paper (arXiv 2505.22042) was not available; this implementation follows the
descriptions by its reviewers and by summaries (`docs/method`).
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

    m_hat is affine and v_hat quadratic in g, with the moments before the step held fixed. Where
    v_hat is 0, the square root has no derivative; g and its derivatives are taken as 0 there.
    """

    value: Tensor
    first: Tensor
    second: Tensor


def adam_update(expansion: Expansion, t: int, g: Tensor) -> Update:
    """Return Gamma at gradients `g` (O, P), with the path's moments before step `t`."""
    if not isinstance(expansion.optimizer, AdamW):
        raise ValueError("the published methods expand Adam's update; expected optimizer AdamW")
    c = expansion.optimizer.config
    state = expansion.state(t)
    correction1, correction2 = expansion.optimizer.bias_corrections(state.step)
    m = (c.beta1 * state.exp_avg + (1 - c.beta1) * g) / correction1
    v = (c.beta2 * state.exp_avg_sq + (1 - c.beta2) * g * g) / correction2
    a, b = (1 - c.beta1) / correction1, (1 - c.beta2) / correction2
    root = v.sqrt()
    d = root + c.epsilon
    root_first = torch.where(root > 0, b * g / root, 0)  # d root / dg, at most sqrt(b)
    root_second = torch.where(root > 0, (b - root_first**2) / root, 0)  # d^2 root / dg^2
    first = a / d - m * root_first / d**2
    second = -2 * a * root_first / d**2 - m * root_second / d**2 + 2 * m * root_first**2 / d**3
    return Update(m / d, first, second)


class FUT(Estimator):
    """Gamma(gamma) = Gamma(theta_t) + d dGamma/dg h, element by element (Yang et al. 2025, FUT).

    h is the secant (G[t, s] - G[t-1, s]) / (theta_t - theta_{t-1}). It is 0 at t = 0, and where the
    two parameters of the path are equal. `guard` bounds the absolute value of the correction; None
    sets no bound.
    """

    def __init__(self, expansion: Expansion, guard: float | None) -> None:
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
        expansion = self.expansion
        update = adam_update(expansion, t, expansion.gradients(t, units))
        correction = self.correction(t, units, update, parameters - expansion.parameters(t))
        if self.guard is not None:
            correction.clamp_(-self.guard, self.guard)
        step = expansion.path.first_step + t
        expansion.optimizer.shrink(parameters, step)
        parameters -= expansion.optimizer.learning_rate(step) * (update.value + correction)

    def correction(self, t: int, units: Tensor, update: Update, delta: Tensor) -> Tensor:
        """Return d dGamma/dg h, (O, P)."""
        return delta * update.first * self.secant(t, units)

    def secant(self, t: int, units: Tensor) -> Tensor:
        """Return h (O, P), the element-wise secant Hessian of `units` (O, k) at step `t`."""
        if t == 0:
            return torch.zeros(())
        change = self.expansion.gradients(t, units) - self.expansion.gradients(t - 1, units)
        return self._per_displacement(t, change)

    def _per_displacement(self, t: int, change: Tensor) -> Tensor:
        """Return `change` / (theta_t - theta_{t-1}), and 0 where the denominator is 0."""
        displacement = self.expansion.parameters(t) - self.expansion.parameters(t - 1)
        return torch.where(displacement != 0, change / displacement, 0)


class FUTPlusPlus(FUT):
    """Adds (1/2) d^2 Gamma'' with Gamma'' = d2Gamma/dg2 h^2 + dGamma/dg h' (FUT++).

    h' is the second secant (h_t - h_{t-1}) / (theta_t - theta_{t-1}), 0 for t < 2.
    """

    def correction(self, t: int, units: Tensor, update: Update, delta: Tensor) -> Tensor:
        """Return d Gamma' + (1/2) d^2 Gamma'', (O, P)."""
        h = self.secant(t, units)
        result = delta * update.first * h + 0.5 * delta**2 * update.second * h**2
        if t >= 2:
            second_secant = self._per_displacement(t, h - self.secant(t - 1, units))
            result += 0.5 * delta**2 * update.first * second_secant
        return result
