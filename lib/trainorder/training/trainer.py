"""Training with `torch.optim`, for the warm-up, the reference order and the truth.

The replay shares no code with this module: the update is that of torch, and the learning-rate
schedule that of transformers.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import trange

from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.errors import DivergedError
from trainorder.numerics import large_tensors
from trainorder.training.averaged_states import AveragedStates
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import State
from trainorder.training.torch_schedules import torch_schedule
from trainorder.training.weight_decay import parameter_groups

Observe = Callable[[Tensor], np.ndarray]


@dataclass(frozen=True)
class MicroBatches:
    """How a step's gradient is accumulated over parts of its batch.

    Attributes:
        sizes: the number of sequences of each part; together they are the batch.
        observe: called with the step and the number of the part after its gradient is added, while
            the parameters are still those before the step.

    """

    sizes: Sequence[int]
    observe: Callable[[int, int], None]


@dataclass
class Training:
    """The result of training up to a step.

    Attributes:
        state: the last state.
        losses: the training loss of each step in nats per token.
        rows: the values of `observe` before the first step and after each step; empty without it.
        resumed_rows: the number of `rows` that were read from the checkpoint of a job before.
        seconds: wall seconds of all steps, including those before the job was resumed, without
            the time of `observe`.

    """

    state: State
    losses: list[float]
    rows: list[np.ndarray]
    seconds: float
    resumed_rows: int = 0


def start_state(model: LanguageModel) -> State:
    """Return the initial parameters with zero moments, at step 0."""
    theta = model.parameters()
    return State(theta, torch.zeros_like(theta), torch.zeros_like(theta), 0)


def train(
    model: LanguageModel,
    start: State,
    batch: Callable[[int], Tensor],
    *,
    steps: int,
    config: OptimizerConfig,
    horizon: int,
    checkpoints: Checkpoints,
    label: str,
    observe: Observe | None = None,
    micro_batches: MicroBatches | None = None,
    averages: AveragedStates | None = None,
    before: int = 0,
    loss_scale: float = 1.0,
) -> Training:
    """Train for `steps` steps from `start`, or resume from the last of `checkpoints`.

    Parameters and moments stay on the device of the model. States are copied to the host.

    Args:
        model: the model; its parameters are overwritten.
        start: parameters and moments (P,) and the number of updates before them.
        batch: maps a step, counted from 0 at `start`, to its sequences (n, L) int64 on the device
            of the model.
        steps: number of steps.
        config: the section `optimizer`.
        horizon: number of steps of the learning-rate schedule if `config` has none.
        checkpoints: where states are stored for resuming.
        label: name of this training in progress bars and errors.
        observe: maps parameters (P,) to a row; called before the first step and after each step.
        micro_batches: the parts of each batch; None differentiates the batch at once.
        averages: gets the states after the steps; the checkpoints store its unfinished means.
        before: number of updates of the window before `start`, for `averages`.
        loss_scale: that of the loss that is differentiated; the recorded losses are without it.

    Raises:
        DivergedError: a loss or a parameter is not finite.

    """
    training = _resume(checkpoints, start, observe, averages)
    model.load(training.state.parameters)
    moments = []
    for moment in (training.state.exp_avg, training.state.exp_avg_sq):
        moments.append(moment.to(model.device, copy=True))
        large_tensors.release_pages()
    optimizer, scheduler = _optimizer(model, moments, training.state.step, config, horizon)
    done, begin = training.state.step - start.step, time.perf_counter() - training.seconds
    for step in trange(done, steps, desc=label, initial=done, total=steps, mininterval=2):
        optimizer.zero_grad()
        loss = _differentiate(model, batch(step), step, micro_batches, loss_scale)
        if config.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(model.trained, config.gradient_clip)
        optimizer.step()
        scheduler.step()
        training.losses.append(_finite(loss, label, step, config))
        if observe is not None:
            paused = time.perf_counter()
            training.rows.append(observe(model.parameters()))
            begin += time.perf_counter() - paused
        if averages is not None and averages.needs(before + step + 1):
            averages.add(before + step + 1, model.parameters())
        if (step + 1) % checkpoints.every == 0 or step + 1 == steps:
            first, second = (large_tensors.copy(moment.cpu()) for moment in moments)
            training.state = State(model.parameters(), first, second, start.step + step + 1)
            training.seconds = time.perf_counter() - begin
            _check_finite(training.state, label, step, config)
            _save(checkpoints, training, averages)
            large_tensors.release_pages()
    optimizer.zero_grad()
    return training


def _differentiate(
    model: LanguageModel, batch: Tensor, step: int, parts: MicroBatches | None, scale: float
) -> float:
    """Add the gradient of the mean loss of `batch` (n, L) to the parameters; return the loss."""
    if parts is None:
        loss = model.module_loss(batch)
        (loss * scale).backward()
        return loss.item()
    total = 0.0
    for number, part in enumerate(batch.split(list(parts.sizes))):
        loss = model.module_loss(part) * (len(part) / len(batch))
        (loss * scale).backward()
        total += loss.item()
        parts.observe(step, number)
    return total


def _save(checkpoints: Checkpoints, training: Training, averages: AveragedStates | None) -> None:
    checkpoints.save(
        training.state,
        losses=np.array(training.losses),
        rows=np.array(training.rows),
        seconds=np.array(training.seconds),
        **(averages.records() if averages is not None else {}),
    )


def _resume(
    checkpoints: Checkpoints,
    start: State,
    observe: Observe | None,
    averages: AveragedStates | None,
) -> Training:
    latest = checkpoints.latest(start.step)
    if latest is not None:
        state, records = latest
        if averages is not None:
            averages.restore(records)
        losses, rows = list(records["losses"]), list(records["rows"])
        return Training(state, losses, rows, float(records["seconds"]), len(rows))
    first_rows = [observe(start.parameters)] if observe is not None else []
    return Training(start, losses=[], rows=first_rows, seconds=0.0)


def torch_optimizer(model: LanguageModel, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Return the new optimizer of `torch.optim` that `config` names, for the trained parameters.

    `config` must be checked: its `name` is `adamw` or `sgd`.
    """
    rate, groups = config.learning_rate, parameter_groups(model, config)
    if config.name == "adamw":
        betas = (config.beta1, config.beta2)
        return torch.optim.AdamW(groups, lr=rate, betas=betas, eps=config.epsilon)
    optimizer = torch.optim.SGD(groups, lr=rate, momentum=config.momentum)
    if not config.momentum:
        optimizer.register_step_pre_hook(_keep_gradients)
    return optimizer


def _keep_gradients(optimizer: torch.optim.Optimizer, *_: object) -> None:
    """Store the direction of the step as the momentum buffer, which torch omits at momentum 0."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = optimizer.state[parameter]
            direction = state.setdefault("momentum_buffer", parameter.grad.clone())
            decay = group["weight_decay"]
            torch.add(parameter.grad, parameter.detach(), alpha=decay, out=direction)


def _optimizer(
    model: LanguageModel,
    moments: Sequence[Tensor],
    step: int,
    config: OptimizerConfig,
    horizon: int,
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return torch's optimizer and its learning-rate schedule at `step`.

    The optimizer's state consists of views of `moments` (P,), so it updates them in place.
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
    return optimizer, torch_schedule(optimizer, config, horizon, step)


def _finite(loss: float, label: str, step: int, config: OptimizerConfig) -> float:
    if not math.isfinite(loss):
        raise diverged(label, step, f"the training loss is {loss}", config)
    return loss


def _check_finite(state: State, label: str, step: int, config: OptimizerConfig) -> None:
    """Check the parameters after the update of `step`, whose loss is computed before it."""
    if not large_tensors.all_finite(state.parameters):
        raise diverged(label, step, "the parameters are not finite after its update", config)


def diverged(label: str, step: int, problem: str, config: OptimizerConfig) -> DivergedError:
    """Return the error for a training whose values are not finite at `step`."""
    return DivergedError(
        f"{label}: step {step}: {problem}; "
        f"lower optimizer.learning_rate (now {config.learning_rate:g})"
    )
