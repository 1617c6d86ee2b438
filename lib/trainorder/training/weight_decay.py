"""Which parameters have weight decay: the key `optimizer.no_decay`."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainorder.config.sections.optimizer import NORMS_AND_BIASES, OptimizerConfig
from trainorder.errors import UserError
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import Optimizer, build_optimizer


def decays(model: LanguageModel, config: OptimizerConfig) -> list[bool]:
    """Return for each trained parameter whether it has weight decay.

    Raises:
        UserError: a regular expression of `optimizer.no_decay` matches no trained parameter.

    """
    rule = config.no_decay
    if rule is None:
        return [True] * len(model.trained)
    if rule == "vectors":
        return [parameter.ndim > 1 for parameter in model.trained]
    if rule == "norms_and_biases":
        norms = _layer_norms(model.module)
        return [
            not (_matches(NORMS_AND_BIASES, name.lower()) or name.startswith(norms))
            for name in model.names
        ]
    for pattern in rule:
        if not any(re.search(pattern, name) for name in model.names):
            raise UserError(
                f"optimizer.no_decay: `{pattern}` matches no trained parameter; correct the "
                f"pattern (the first parameters are {', '.join(model.names[:3])})"
            )
    return [not _matches(rule, name) for name in model.names]


def decayed_numbers(model: LanguageModel, config: OptimizerConfig) -> Tensor | None:
    """Return which numbers of theta have weight decay, (P,) bool; None if all of them have.

    Raises:
        UserError: see `decays`.

    """
    if config.no_decay is None or not config.weight_decay:
        return None
    chosen = decays(model, config)
    mask = torch.zeros(model.size, dtype=torch.bool)
    for part, decay in zip(model.split(mask), chosen, strict=True):
        part.fill_(decay)
    return mask


def build_for(model: LanguageModel, config: OptimizerConfig, horizon: int) -> Optimizer:
    """Return the optimizer of replays for the parameters of `model`; see `Optimizer`.

    Raises:
        UserError: see `decays`.

    """
    return build_optimizer(config, horizon, decayed_numbers(model, config))


def parameter_groups(model: LanguageModel, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Return the parameter groups for `torch.optim`: with weight decay, and without."""
    groups: dict[bool, list[Tensor]] = {True: [], False: []}
    for parameter, decay in zip(model.trained, decays(model, config), strict=True):
        groups[decay].append(parameter)
    return [
        {"params": group, "weight_decay": config.weight_decay if decay else 0.0}
        for decay, group in groups.items()
        if group
    ]


def _matches(patterns: Sequence[str], name: str) -> bool:
    return any(re.search(pattern, name) for pattern in patterns)


def _layer_norms(module: torch.nn.Module) -> tuple[str, ...]:
    """Return the prefixes of the names of parameters of `torch.nn.LayerNorm`."""
    return tuple(
        f"{n}." for n, one in module.named_modules() if isinstance(one, torch.nn.LayerNorm)
    )
