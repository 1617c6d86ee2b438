"""A hash of a script and of every library module that it imports."""

import ast
import hashlib
from functools import cache
from pathlib import Path

from trainorder.storage.provenance import digest

PACKAGE = Path(__file__).parents[1]


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
