"""Hashes that say what a result depends on, and the versions it was made with."""

import ast
import hashlib
import json
import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
_LIBRARIES = ("torch", "transformers", "tokenizers", "datasets", "h5py", "numpy", "scipy", "skerch")


def digest(*values: Any) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of the values' canonical JSON."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_hash(script: str | Path) -> str:
    """Return a hash of a script and of every `trainorder` module it imports, transitively.

    Syntax trees are hashed, without docstrings: comments, layout and documentation do not count.
    """
    modules = _closure(Path(script).resolve())
    return digest([_tree_hash(path) for path in sorted(modules)])


def _closure(start: Path) -> frozenset[Path]:
    seen: set[Path] = set()
    queue = [start]
    while queue:
        path = queue.pop()
        if path not in seen:
            seen.add(path)
            queue.extend(_imports(path))
    return frozenset(seen)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def _tree_hash(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            body.pop(0)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@cache
def _imports(path: Path) -> tuple[Path, ...]:
    names: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(sorted(found for name in names for found in _module_files(name)))


def _module_files(name: str) -> list[Path]:
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return []
    files = [PACKAGE.joinpath(*parts[1:i], "__init__.py") for i in range(1, len(parts) + 1)]
    files.append(PACKAGE.joinpath(*parts[1:]).with_suffix(".py"))
    return [path for path in files if path.is_file()]


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of the libraries results depend on."""
    found = {"python": platform.python_version()}
    for name in ("trainorder", *_LIBRARIES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Return the processor's name and its core count."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"processor": model, "cores": os.cpu_count()}
