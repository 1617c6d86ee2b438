"""The learning rate of each step, as arithmetic for replays.

True retrainings take it from the schedules of transformers (`training.torch_schedules`).
"""

from collections.abc import Sequence

from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.numerics.rate_schedule import Form, RateSchedule


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
    horizon, warmup = config.horizon or end, config.linear_warmup_steps
    form: Form
    if config.schedule == "warmup_stable_decay":
        form, decay_start = config.decay_form, horizon - config.decaying(horizon)
        first = config.final_fraction
    else:
        form, decay_start, first = config.schedule, warmup, 0.0
    schedule = RateSchedule(
        form=form,
        largest=config.learning_rate,
        warmup=warmup,
        decay_start=decay_start,
        horizon=horizon,
        first=first,
        final=config.final_fraction,
    )
    return schedule.rate(step)


def tabulated(rates: str | Sequence[float], step: int, end: int) -> float:
    """Return the rate of `step` of a table whose last entry belongs to the step before `end`.

    Steps outside the table, which only timings take, have the rate of its nearest step.
    """
    if isinstance(rates, str):
        raise ValueError(f"{rates}: expected rates that are read from the file")
    return float(rates[min(max(step - (end - len(rates)), 0), len(rates) - 1)])
