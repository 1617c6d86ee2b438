"""Digests of settings, and the software versions and machine that produced a result."""

import hashlib
import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

_LIBRARIES = ("torch", "transformers", "tokenizers", "datasets", "h5py", "numpy", "scipy", "skerch")


def digest(*values: Any) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of `values` as canonical JSON."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Return the versions of Python, this package and the libraries that results depend on."""
    result = {"python": platform.python_version()}
    for name in ("trainorder", *_LIBRARIES):
        try:
            result[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return result


def machine() -> dict[str, Any]:
    """Return the name of the processor and the number of its cores."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"processor": model, "cores": os.cpu_count()}
