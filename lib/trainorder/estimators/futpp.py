"""`fut++`: the published second-order replay of Yang et al. 2025, known second-hand as `fut` is."""

from torch import Tensor

from trainorder.estimators.fut import FUT, Update


class FUTPlusPlus(FUT):
    """Adds (1/2) d^2 Gamma'' with Gamma'' = d2Gamma/dg2 h^2 + dGamma/dg h' (FUT++).

    h' is the second secant (h_t - h_{t-1}) / (theta_t - theta_{t-1}), 0 for t < 2.
    """

    def correction(self, t: int, units: Tensor, update: Update, delta: Tensor) -> Tensor:
        """Return d Gamma' + (1/2) d^2 Gamma'', (O, P)."""
        h = self.secant(t, units)
        result = delta * update.first * h + 0.5 * delta**2 * update.second * h**2
        if t >= 2:
            bend = self._per_step(t, h - self.secant(t - 1, units))
            result += 0.5 * delta**2 * update.first * bend
        return result
