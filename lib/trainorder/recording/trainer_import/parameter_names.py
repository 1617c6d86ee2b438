"""The names of the parameters in the pickled state of an optimizer, which only numbers them."""

from pathlib import Path

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.trainer_pt_utils import get_parameter_names

from trainorder.config.sections.optimizer import NORMS_AND_BIASES
from trainorder.errors import UserError
from trainorder.recording.record.layout import MOMENTS
from trainorder.recording.trainer_import.checkpoint_files import StoredOptimizer


def shape_of_model(folder: Path) -> nn.Module:
    """Return the model of a checkpoint on the device `meta`, without numbers.

    Raises:
        UserError: its config.json is missing or not that of a known causal language model.

    """
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with torch.device("meta"):
            model: nn.Module = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception as error:  # transformers raises various types
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{folder}/config.json: the model cannot be built: {reason}") from None
    return model


def grouped_names(path: Path, model: nn.Module, optimizer: StoredOptimizer) -> list[list[str]]:
    """Return the names of the parameters of each group of an optimizer.

    One group has the parameters as the model lists them. Two groups are those of the `Trainer` of
    transformers: with weight decay, and biases and norms without. The shapes of the moments confirm
    this.

    Args:
        path: the file of the optimizer, for messages.
        model: the model, which may have no numbers.
        optimizer: its content.

    Raises:
        UserError: the shapes or numbers of parameters differ.

    """
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    names, groups = list(shapes), optimizer.groups
    candidate = [names]
    if len(groups) == 2:
        decayed = set(get_parameter_names(model, [nn.LayerNorm], list(NORMS_AND_BIASES)))
        candidate = [
            [name for name in names if name in decayed],
            [name for name in names if name not in decayed],
        ]
    counts = [len(group.params) for group in groups]
    if counts != [len(group) for group in candidate]:
        raise UserError(
            f"{path}: its groups have {counts} parameters, but the model has "
            f"{[len(group) for group in candidate]}; runs with frozen parameters or other groups "
            "are not imported; record such a run with trainorder.recording"
        )
    for group, own in zip(groups, candidate, strict=True):
        for number, name in zip(group.params, own, strict=True):
            entry = optimizer.moments.get(number, {})
            for moment in (entry.get(key) for key in MOMENTS):
                if isinstance(moment, torch.Tensor) and moment.shape != shapes[name]:
                    raise UserError(
                        f"{path}: parameter {number} has shape {tuple(moment.shape)}, but `{name}` "
                        f"{tuple(shapes[name])}; record the run with trainorder.recording"
                    )
    return candidate
