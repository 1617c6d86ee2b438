"""A language model of the user's own, from a folder or the hub, and what of it is trained."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, cast
from unittest.mock import patch

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils.peft_utils import find_adapter_config_file

from trainorder.config.sections import LoraConfig, ModelConfig
from trainorder.errors import UserError, not_loaded

_WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf"}


def load(source: str, config: ModelConfig, seed: int) -> torch.nn.Module:
    """Load the model `source` with eager attention; only what is trained asks for gradients.

    Safetensors alone are read, and no code that comes with a model is run. A folder that has a
    config.json and no weights is a new model. Without a pattern and without adapters every
    parameter is trained.

    Args:
        source: a local folder, or a name on the hub.
        config: says what is trained.
        seed: of the initial weights of adapters, and of a new model.

    Raises:
        UserError: the model cannot be loaded, or no parameter is left to train.

    """
    try:
        module = _read(source, seed)
    except Exception as error:  # transformers and the hub client each raise their own
        raise not_loaded("model.source", source, error) from None
    module.config.use_cache = False
    if config.lora is not None:
        module = _adapted(module, config.lora, seed)
    elif config.trainable is not None:
        _freeze_others(module, config.trainable)
    module.eval()  # no dropout: a loss is a function of the parameters
    return cast(torch.nn.Module, module)


def _read(source: str, seed: int) -> Any:
    """Return the model; on the device `meta`, which holds no numbers, only its shapes."""
    if find_adapter_config_file(source) is not None:
        raise ValueError("adapter_config.json: it is adapters; merge them into their model first")
    folder = Path(source)
    new = _is_configuration_alone(folder)
    if folder.is_dir():
        _check(folder, new)
    shapes_alone = torch.get_default_device().type == "meta"
    if new and not shapes_alone:  # the weights may only have been forgotten
        warnings.warn(f"{source}: no weights; a new model is made of config.json", stacklevel=3)
    if new or shapes_alone:
        shape = AutoConfig.from_pretrained(source, trust_remote_code=False)
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(
            shape, attn_implementation="eager", dtype=torch.float32, trust_remote_code=False
        )
    # `use_safetensors` alone would read pickles that the configuration or an index of shards names.
    with patch("torch.load", _no_pickle):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source,
            attn_implementation="eager",
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    module, found = loaded
    if found["missing_keys"]:  # the library draws them anew, and only warns
        raise ValueError(f"its weights lack {min(found['missing_keys'])}; complete them")
    return module


def _is_configuration_alone(folder: Path) -> bool:
    return (folder / "config.json").is_file() and not any(
        path.suffix in _WEIGHTS or path.name.endswith(".index.json") for path in folder.iterdir()
    )


def _check(folder: Path, new: bool) -> None:
    if not (folder / "config.json").is_file():
        raise ValueError("it has no config.json; save_pretrained writes one")
    if not new and not any(folder.glob("*.safetensors")):
        _no_pickle()


def _no_pickle(*_: Any, **__: Any) -> NoReturn:
    raise ValueError("only safetensors are read, no pickle; save_pretrained writes them")


def _freeze_others(module: torch.nn.Module, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        if not any(re.search(pattern, name) for name, _ in module.named_parameters()):
            first = ", ".join(name for name, _ in list(module.named_parameters())[:3])
            raise UserError(
                f"model.trainable: `{pattern}` matches no parameter; their names are like {first}"
            )
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(any(re.search(pattern, name) for pattern in patterns))


def _adapted(module: torch.nn.Module, lora: LoraConfig, seed: int) -> torch.nn.Module:
    """Return the model with low-rank adapters (Hu et al. 2021), which alone are trained."""
    import peft

    torch.manual_seed(seed)
    made: Any = peft.LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.targets), lora_dropout=0.0
    )
    try:
        adapted: torch.nn.Module = peft.get_peft_model(module, made)  # type: ignore[arg-type]
    except ValueError as error:
        raise UserError(f"model.lora.targets: {str(error).splitlines()[0]}") from None
    return adapted
