"""`constant`: every order ends at the end of the path. The baseline without any order effect."""

from torch import Tensor

from trainorder.expansion.replay import Estimator, Observe


class Constant(Estimator):
    """gamma_t = theta_t for every schedule."""

    def replay(self, schedules: Tensor, observe: Observe) -> Tensor:
        """Return the parameters of the path for every schedule."""
        count, steps, _ = schedules.shape
        for t in range(steps + 1):
            observe(t, self.expansion.path.parameters(t).expand(count, -1))
        return self.expansion.path.parameters(steps).expand(count, -1)
