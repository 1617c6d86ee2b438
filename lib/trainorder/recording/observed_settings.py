"""The settings of a run, read from its model and its optimizer."""

from typing import Any

import torch
from torch import nn

from trainorder.errors import UserError
from trainorder.recording.record.settings import RecordedSettings
from trainorder.recording.supported_runs import shared_option, trained_parameters


def observed_settings(
    model: nn.Module, optimizer: torch.optim.AdamW, gradient_clip: float | None
) -> RecordedSettings:
    """Return the settings of a run.

    Args:
        model: a causal language model of transformers, with adapters of peft or without.
        optimizer: the optimizer of its trained parameters.
        gradient_clip: the largest norm of a gradient; None without clipping.

    Raises:
        UserError: a study cannot train such a run again.

    """
    config: Any = getattr(model, "config", None)
    if not hasattr(config, "vocab_size"):
        raise UserError(
            f"recording: {type(model).__name__} is not a causal language model of transformers, "
            "which a study needs"
        )
    betas, epsilon = (
        shared_option("recording", optimizer.param_groups, key) for key in ("betas", "eps")
    )
    source, lora = _adapters(model)
    return RecordedSettings(
        beta1=float(betas[0]),
        beta2=float(betas[1]),
        epsilon=float(epsilon),
        weight_decays=[float(group["weight_decay"]) for group in optimizer.param_groups],
        groups=_names(model, optimizer),
        gradient_clip=gradient_clip,
        vocabulary=int(config.vocab_size),
        source=source,
        lora=lora,
        trains_all=lora is None and all(p.requires_grad for p in model.parameters()),
    )


def _names(model: nn.Module, optimizer: torch.optim.AdamW) -> list[list[str]]:
    """Return the names of the parameters of each group."""
    names = {parameter: name for name, parameter in trained_parameters(model).items()}
    groups = [
        [names.pop(p) for p in group["params"] if p in names] for group in optimizer.param_groups
    ]
    for group, found in zip(optimizer.param_groups, groups, strict=True):
        if sum(p.requires_grad for p in group["params"]) > len(found):
            raise UserError(
                "recording: the optimizer trains a parameter that the model does not have; pass "
                "the model whose parameters it has"
            )
    if names:
        missing = next(iter(names.values()))
        raise UserError(
            f"recording: parameter `{missing}` is not in the optimizer; add it, or set its "
            "requires_grad to False"
        )
    return groups


_LORA_DEFAULTS = {"use_rslora": False, "use_dora": False, "bias": "none", "modules_to_save": None}


def _adapters(model: Any) -> tuple[str | None, dict[str, Any] | None]:
    """Return the base model and the options of low-rank adapters; None without adapters."""
    configs = getattr(model, "peft_config", None)
    if not configs:
        return None, None
    [config] = configs.values()
    kind = str(getattr(config.peft_type, "value", config.peft_type))
    if kind != "LORA":
        raise UserError(f"recording: adapters of type {kind}; only LoRA is supported")
    for key, default in {**_LORA_DEFAULTS, "lora_dropout": 0.0}.items():
        if (value := getattr(config, key, default) or default) != default:
            raise UserError(f"recording: LoRA with {key}={value!r}; only {default!r} is supported")
    if not isinstance(config.target_modules, set | list):
        raise UserError("recording: LoRA: list the names of the modules in target_modules")
    source = config.base_model_name_or_path
    if not source:
        raise UserError("recording: LoRA: the base model has no name; load it with from_pretrained")
    lora = {"rank": config.r, "alpha": config.lora_alpha, "targets": sorted(config.target_modules)}
    return str(source), lora
