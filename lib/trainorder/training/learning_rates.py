"""The learning rate of each step, as arithmetic for replays.

True retrainings take it from the schedules of transformers (`training.torch_schedules`).
"""

import math
from collections.abc import Sequence

from trainorder.config.sections import OptimizerConfig


def learning_rate(config: OptimizerConfig, step: int, end: int) -> float:
    """Return eta_t of 0-based `step`: that of the table of rates, or of the schedule.

    Args:
        config: the section `optimizer`.
        step: number of updates before this one, since the beginning of training.
        end: number of updates at the end of the window, where a table of rates ends. A schedule
            spans as many steps, unless `config.horizon` is set.

    """
    if config.rates is not None:
        return tabulated(config.rates, step, end)
    c, horizon, warmup = config, config.horizon or end, config.linear_warmup_steps
    if step < warmup:
        first = c.final_fraction if c.schedule == "warmup_stable_decay" else 0.0
        return c.learning_rate * first + (1 - first) * c.learning_rate * step / warmup
    if c.schedule == "constant":
        return c.learning_rate
    form: str = c.schedule
    begin = warmup
    if form == "warmup_stable_decay":
        form, begin = c.decay_form, horizon - c.decaying(horizon)
    steps = max(1, horizon - begin)
    part = _remaining(form, min(max(0, step - begin), steps), steps)
    return c.learning_rate * (c.final_fraction + (1 - c.final_fraction) * part)


def tabulated(rates: str | Sequence[float], step: int, end: int) -> float:
    """Return the rate of `step` of a table whose last entry belongs to the step before `end`.

    Steps outside the table, which only timings take, have the rate of its nearest step.
    """
    if isinstance(rates, str):
        raise ValueError(f"{rates}: expected rates that are read from the file")
    return float(rates[min(max(step - (end - len(rates)), 0), len(rates) - 1)])


def _remaining(form: str, done: int, steps: int) -> float:
    """Return which part of a decay over `steps` steps remains after `done` of them."""
    if form == "linear":
        return 1 - done / steps
    if form == "1-sqrt":
        return 1 - math.sqrt(done / steps)
    return 0.5 * (1 + math.cos(math.pi * done / steps))
