"""Load a pretrained language model from a folder or the hub and select its trained parameters."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, cast
from unittest.mock import patch

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import CONFIG_NAME
from transformers.utils.peft_utils import find_adapter_config_file

from trainorder.config.sections.model import LoraConfig, ModelConfig
from trainorder.data.hub_commit import hub_commit
from trainorder.errors import UserError, not_loaded

_WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf"}


def load(source: str, config: ModelConfig, seed: int) -> tuple[torch.nn.Module, str | None]:
    """Return the model `source` with eager attention and without dropout, and its commit.

    The commit is that of a repository on the hub; None if it is not known.

    `requires_grad` is set for the trained parameters only: the adapters of `config.lora`, the
    parameters that match `config.trainable`, or else all. Weights are read from safetensors only,
    and code that comes with a model is never run. A folder with a config.json but no weights gives
    a new model.

    Args:
        source: a local folder or a name on the hub.
        config: the section `model`.
        seed: seed of the weights of adapters and of a new model.

    Raises:
        UserError: the model cannot be loaded, or a pattern or target matches no parameter.

    """
    try:
        module, commit = _read(source, config.revision, seed)
    except Exception as error:  # transformers and the hub client raise various types
        raise not_loaded("model.source", source, error) from None
    module.config.use_cache = False
    if config.lora is not None:
        module = _adapted(module, config.lora, seed)
    elif config.trainable is not None:
        _freeze_others(module, config.trainable)
    module.eval()  # no dropout: a loss depends on the parameters only
    return cast(torch.nn.Module, module), commit


def _read(source: str, revision: str | None, seed: int) -> tuple[Any, str | None]:
    """Return the model and its commit; on the device `meta`, a model of its shape."""
    if find_adapter_config_file(source, revision=revision) is not None:
        raise ValueError("adapter_config.json: it contains adapters; merge them into their model")
    commit = hub_commit(source, revision, CONFIG_NAME)
    return _at_revision(source, commit or revision, seed), commit


def _at_revision(source: str, revision: str | None, seed: int) -> Any:
    """Return the model; on the device `meta`, which stores no numbers, a model of its shape."""
    folder = Path(source)
    new = _is_configuration_only(folder)
    if folder.is_dir():
        _check(folder, new)
    shapes_only = torch.get_default_device().type == "meta"
    if new and not shapes_only:  # the user may have forgotten the weights
        warnings.warn(
            f"{source}: no weights; a new model is created from config.json", stacklevel=3
        )
    if new or shapes_only:
        shape = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(
            shape, attn_implementation="eager", dtype=torch.float32, trust_remote_code=False
        )
    # With `use_safetensors` alone, transformers still reads pickles that config.json or an index of
    # shards names.
    with patch("torch.load", _no_pickle):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source,
            revision=revision,
            attn_implementation="eager",
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    module, information = loaded
    if missing := information["missing_keys"]:  # transformers initializes them and only warns
        raise ValueError(f"weights missing: {min(missing)}; save the complete model")
    return module


def _is_configuration_only(folder: Path) -> bool:
    return (folder / "config.json").is_file() and not any(
        path.suffix in _WEIGHTS or path.name.endswith(".index.json") for path in folder.iterdir()
    )


def _check(folder: Path, new: bool) -> None:
    if not (folder / "config.json").is_file():
        raise ValueError("it has no config.json; write it with save_pretrained")
    if not new and not any(folder.glob("*.safetensors")):
        _no_pickle()


def _no_pickle(*_: Any, **__: Any) -> NoReturn:
    raise ValueError("only safetensors are read, not pickles; convert with save_pretrained")


def _freeze_others(module: torch.nn.Module, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        if not any(re.search(pattern, name) for name, _ in module.named_parameters()):
            first = ", ".join(name for name, _ in list(module.named_parameters())[:3])
            raise UserError(
                f"model.trainable: `{pattern}` matches no parameter; correct the pattern (the "
                f"first parameters are {first})"
            )
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(any(re.search(pattern, name) for pattern in patterns))


def _adapted(module: torch.nn.Module, lora: LoraConfig, seed: int) -> torch.nn.Module:
    """Return the model with low-rank adapters (Hu et al. 2021); only the adapters are trained."""
    import peft

    torch.manual_seed(seed)
    adapter_config: Any = peft.LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.targets), lora_dropout=0.0
    )
    try:
        adapted: torch.nn.Module = peft.get_peft_model(module, adapter_config)  # type: ignore[arg-type]
    except ValueError as error:
        raise UserError(f"model.lora.targets: {str(error).splitlines()[0]}") from None
    return adapted
