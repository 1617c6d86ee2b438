"""Which runs can be recorded: those that a study can train again."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trainorder.errors import UserError

_WHERE = "recording"
SUPPORTED_OPTIMIZER = (
    "only torch.optim.AdamW without amsgrad and maximize is supported, also fused or foreach (with "
    "the Trainer: optim adamw_torch or adamw_torch_fused)"
)


def plain_model(model: nn.Module) -> nn.Module:
    """Return the model without the wrappers of `torch.compile` and of data-parallel training."""
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    plain: Any = model
    while isinstance(plain, wrappers) or hasattr(plain, "_orig_mod"):
        plain = plain.module if isinstance(plain, wrappers) else plain._orig_mod
    module: nn.Module = plain
    return module


def plain_optimizer(optimizer: Any) -> torch.optim.AdamW:
    """Return the AdamW of torch that does the updates, without the wrapper of accelerate.

    Raises:
        UserError: it is another optimizer, or a variant that a study cannot replay.

    """
    while not isinstance(optimizer, torch.optim.Adam) and hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    if not isinstance(optimizer, torch.optim.AdamW):
        kind = type(optimizer)
        package = kind.__module__.partition(".")[0]
        raise UserError(
            f"{_WHERE}: the optimizer is {kind.__name__} of {package}; {SUPPORTED_OPTIMIZER}"
        )
    for group in optimizer.param_groups:
        check_options(_WHERE, group)
    return optimizer


def check_options(where: str, group: Mapping[str, Any]) -> None:
    """Check that a parameter group of an AdamW has no option that a study cannot replay.

    Raises:
        UserError: it has one; the message begins with `where`.

    """
    for option in ("amsgrad", "maximize"):
        if group.get(option):
            raise UserError(f"{where}: the optimizer is AdamW with {option}; {SUPPORTED_OPTIMIZER}")


def trained_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Return the trained parameters of a model by name; tied weights have one name.

    Raises:
        UserError: there is none, or one is not float32.

    """
    trained: dict[str, Tensor] = {
        name: p for name, p in model.named_parameters() if p.requires_grad
    }
    if not trained:
        raise UserError(f"{_WHERE}: no parameter of the model requires a gradient")
    for name, parameter in trained.items():
        if parameter.dtype != torch.float32:
            dtype = str(parameter.dtype).removeprefix("torch.")
            raise UserError(
                f"{_WHERE}: parameter `{name}` is {dtype}, expected float32; load the model in "
                "float32 (mixed precision keeps float32 parameters)"
            )
    return trained


def check_deterministic(model: nn.Module, where: str = _WHERE) -> None:
    """Check that a loss depends on the parameters and the tokens only.

    Args:
        model: the model, which may have no numbers.
        where: the beginning of the error message.

    Raises:
        UserError: the model has dropout.

    """
    for name, module in model.named_modules():
        values = {key: value for key, value in vars(module).items() if "dropout" in key}
        if isinstance(module, nn.Dropout):
            values["p"] = module.p
        for key, value in values.items():
            if isinstance(value, float) and value > 0:
                raise UserError(
                    f"{where}: dropout: `{name}.{key}` is {value:g}, but a study can only "
                    "reproduce runs without dropout; train with 0 in the configuration of the model"
                )


def shared_option(where: str, groups: Sequence[Mapping[str, Any]], key: str) -> Any:
    """Return an option that all parameter groups of an optimizer share.

    Raises:
        UserError: they have different values.

    """
    values = {group[key] for group in groups}
    if len(values) > 1:
        raise UserError(
            f"{where}: parameter groups have different `{key}` ({values}); a study needs one"
        )
    return values.pop()


def check_one_process() -> None:
    """Check that this process sees all batches.

    Raises:
        UserError: the training is distributed.

    """
    distributed = torch.distributed
    started = distributed.is_available() and distributed.is_initialized()
    if started and (size := distributed.get_world_size()) > 1:
        raise UserError(f"{_WHERE}: {size} processes train together; only one is supported")
