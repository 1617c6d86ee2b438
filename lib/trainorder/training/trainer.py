"""Real training with `torch.optim`, for the reference run and for the truth.

Nothing here is shared with the replay: the update is torch's, the schedule is transformers'.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import trange

from trainorder.config.sections import OptimizerConfig
from trainorder.errors import DivergedError
from trainorder.numerics import large_tensors
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import State

Observe = Callable[[Tensor], np.ndarray]


@dataclass
class Run:
    """What a training run has come to.

    Attributes:
        state: the last state.
        losses: the training loss of each step, in nats per token.
        rows: what was observed before the first step and after each; empty if nothing was.
        seconds: spent on the steps, before a resumption too.

    """

    state: State
    losses: list[float]
    rows: list[np.ndarray]
    seconds: float


def start_state(model: LanguageModel) -> State:
    """Return the initial parameters with zero moments, at step 0."""
    theta = model.parameters()
    return State(theta, torch.zeros_like(theta), torch.zeros_like(theta), 0)


def train(
    model: LanguageModel,
    start: State,
    batch: Callable[[int], Tensor],
    steps: int,
    config: OptimizerConfig,
    horizon: int,
    checkpoints: Checkpoints,
    label: str,
    observe: Observe | None = None,
) -> Run:
    """Train for `steps` steps from `start`, or from the last checkpoint of the same run.

    Parameters and moments stay on the model's device; states are brought to the host.

    Args:
        model: the model; its parameters are overwritten.
        start: parameters and moments (P,) and the number of updates behind them.
        batch: maps a step of this run, from 0, to its sequences (n, L) int64, on the same device.
        steps: steps of this run.
        config: the optimizer.
        horizon: steps that the learning-rate schedule spans unless `config` says.
        checkpoints: where resumable states go.
        label: names the run in progress bars and errors.
        observe: maps parameters (P,) to a row to record before the first step and after each.

    Raises:
        DivergedError: the loss or a parameter is not finite.

    """
    run = _resume(checkpoints, start, observe)
    model.load(run.state.parameters)
    moments = []
    for moment in (run.state.exp_avg, run.state.exp_avg_sq):
        moments.append(moment.to(model.device, copy=True))
        large_tensors.release_pages()
    optimizer, scheduler = _optimizer(model, moments, run.state.step, config, horizon)
    done, begun = run.state.step - start.step, time.perf_counter() - run.seconds
    for step in trange(done, steps, desc=label, initial=done, total=steps, mininterval=2):
        loss = model.module_loss(batch(step))
        optimizer.zero_grad()
        loss.backward()
        if config.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(model.trained, config.gradient_clip)
        optimizer.step()
        scheduler.step()
        run.losses.append(_finite(loss.item(), label, step, config))
        if observe is not None:
            run.rows.append(observe(model.parameters()))
        if (step + 1) % checkpoints.every == 0 or step + 1 == steps:
            first, second = (large_tensors.copy(moment.cpu()) for moment in moments)
            run.state = State(model.parameters(), first, second, start.step + step + 1)
            run.seconds = time.perf_counter() - begun
            _check_finite(run.state, label, step, config)
            _save(checkpoints, run)
            large_tensors.release_pages()
    optimizer.zero_grad()
    return run


def _save(checkpoints: Checkpoints, run: Run) -> None:
    checkpoints.save(
        run.state,
        losses=np.array(run.losses),
        rows=np.array(run.rows),
        seconds=np.array(run.seconds),
    )


def _resume(checkpoints: Checkpoints, start: State, observe: Observe | None) -> Run:
    found = checkpoints.latest(start.step)
    if found is not None:
        state, records = found
        losses, rows = list(records["losses"]), list(records["rows"])
        return Run(state, losses, rows, float(records["seconds"]))
    return Run(start, [], [observe(start.parameters)] if observe is not None else [], 0.0)


def torch_optimizer(model: LanguageModel, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Return the optimizer of `torch.optim` that a checked `config` names, before its first step.

    It changes the parameters of `model` that are trained.
    """
    rate, decay = config.learning_rate, config.weight_decay
    if config.name == "adamw":
        betas = (config.beta1, config.beta2)
        return torch.optim.AdamW(model.trained, rate, betas, config.epsilon, decay)
    optimizer = torch.optim.SGD(model.trained, rate, config.momentum, weight_decay=decay)
    if not config.momentum:
        optimizer.register_step_pre_hook(_keep_gradients)
    return optimizer


def _keep_gradients(optimizer: torch.optim.Optimizer, *_: object) -> None:
    """Keep what is stepped along as the momentum buffer, which torch has none of at momentum 0."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            kept = optimizer.state[parameter].setdefault("momentum_buffer", parameter.grad.clone())
            torch.add(parameter.grad, parameter.detach(), alpha=group["weight_decay"], out=kept)


def _optimizer(
    model: LanguageModel,
    moments: Sequence[Tensor],
    step: int,
    config: OptimizerConfig,
    horizon: int,
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return torch's optimizer, which updates `moments` (P,) in place, and its schedule at `step`.

    It has views of them, so that they are a state's without a copy.
    """
    optimizer = torch_optimizer(model, config)
    views = zip(*(model.split(moment) for moment in moments), strict=True)
    for parameter, (exp_avg, exp_avg_sq) in zip(model.trained, views, strict=True):
        if config.name == "sgd":
            optimizer.state[parameter] = {"momentum_buffer": exp_avg}
            continue
        optimizer.state[parameter] = {
            "step": torch.tensor(float(step)),
            "exp_avg": exp_avg,
            "exp_avg_sq": exp_avg_sq,
        }
    for group in optimizer.param_groups:
        group["initial_lr"] = config.learning_rate
    return optimizer, _scheduler(optimizer, config, horizon, step)


def _scheduler(
    optimizer: torch.optim.Optimizer, config: OptimizerConfig, horizon: int, step: int
) -> torch.optim.lr_scheduler.LRScheduler:
    # Imported here: it takes seconds, and only jobs that train need it.
    from transformers import (
        get_constant_schedule_with_warmup,
        get_cosine_with_min_lr_schedule_with_warmup,
    )

    scheduler: torch.optim.lr_scheduler.LRScheduler
    if config.schedule == "constant":
        scheduler = get_constant_schedule_with_warmup(
            optimizer, config.linear_warmup_steps, last_epoch=step - 1
        )
        return scheduler
    scheduler = get_cosine_with_min_lr_schedule_with_warmup(
        optimizer,
        config.linear_warmup_steps,
        config.horizon or horizon,
        last_epoch=step - 1,
        min_lr_rate=config.final_fraction,
    )
    return scheduler


def _finite(loss: float, label: str, step: int, config: OptimizerConfig) -> float:
    if not math.isfinite(loss):
        raise diverged(label, step, f"the training loss is {loss}", config)
    return loss


def _check_finite(state: State, label: str, step: int, config: OptimizerConfig) -> None:
    """Check what `step` left behind: its loss is taken before its update."""
    if not large_tensors.all_finite(state.parameters):
        raise diverged(label, step, "its update left parameters that are not finite", config)


def diverged(label: str, step: int, what: str, config: OptimizerConfig) -> DivergedError:
    """Return the error of a run whose numbers are not finite after `step`."""
    return DivergedError(
        f"{label}: step {step}: {what}; "
        f"lower optimizer.learning_rate (now {config.learning_rate:g})"
    )
