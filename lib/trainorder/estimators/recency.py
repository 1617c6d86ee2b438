"""`recency`: the baseline that trains the last steps of an order, starting from the path."""

from torch import Tensor

from trainorder.expansion.replay import Block, ExactReplay, Observe


class Recency(ExactReplay):
    """gamma_t = theta_t up to t = T - s, then s = `tail` steps with true gradients.

    The steps before T - s have no effect: the moments at T - s are those of the path, too.
    """

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Differentiate: no gradient is approximated after the replay leaves the path."""
        return self.true_gradients(t, units, parameters)

    def replay(self, schedules: Tensor, observe: Observe) -> Tensor:
        """Leave the path `tail` steps before the end and train from there."""
        count, steps, _ = schedules.shape
        first = steps - self.tail
        for t in range(first):
            observe(t, self.expansion.path.parameters(t).expand(count, -1))
        state = self.expansion.copies(first, count)
        self.follow(state, schedules, first, observe)
        return state.parameters
