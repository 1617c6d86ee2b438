"""The learning-rate schedules of transformers, for real training.

The rates of replays are in `training.learning_rates`; the two modules share no code.
"""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from trainorder.config.sections.optimizer import OptimizerConfig


def torch_schedule(
    optimizer: Optimizer, config: OptimizerConfig, end: int, step: int
) -> LRScheduler:
    """Return the learning-rate schedule of `optimizer` at `step`.

    Args:
        optimizer: its groups have the rate of the section `optimizer` as `initial_lr`.
        config: the section `optimizer`.
        end: number of updates at the end of the window.
        step: number of updates so far.

    """
    # Imported here because it takes seconds and only jobs that train need it.
    from transformers import optimization

    warmup, horizon, last = config.linear_warmup_steps, config.horizon or end, step - 1
    schedule: LRScheduler
    if config.rates is not None:
        schedule = _table(optimizer, config, end, last)
    elif config.schedule == "constant" or (
        config.schedule == "linear" and config.final_fraction == 1
    ):
        schedule = optimization.get_constant_schedule_with_warmup(optimizer, warmup, last)
    elif config.schedule == "linear":
        final = config.final_fraction * config.learning_rate
        schedule = optimization.get_polynomial_decay_schedule_with_warmup(
            optimizer, warmup, horizon, lr_end=final, power=1.0, last_epoch=last
        )
    elif config.schedule == "warmup_stable_decay":
        schedule = optimization.get_wsd_schedule(
            optimizer,
            warmup,
            config.decaying(horizon),
            horizon,
            decay_type=config.decay_form,
            min_lr_ratio=config.final_fraction,
            last_epoch=last,
        )
    else:
        schedule = optimization.get_cosine_with_min_lr_schedule_with_warmup(
            optimizer, warmup, horizon, last_epoch=last, min_lr_rate=config.final_fraction
        )
    return schedule


def _table(optimizer: Optimizer, config: OptimizerConfig, end: int, last: int) -> LambdaLR:
    """Return the schedule of a table of rates, whose last one belongs to the step before `end`."""
    table = config.rates
    assert isinstance(table, list)
    first = end - len(table)

    def factor(step: int) -> float:  # torch also asks for the rate after the last step
        return table[min(step - first, len(table) - 1)] / config.learning_rate

    return LambdaLR(optimizer, factor, last)
