"""A hash of a script and of every library module that it imports."""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from trainorder.storage.provenance import digest

PACKAGE = Path(__file__).parents[1]


def code_hash(script: str | Path, *names: str) -> str:
    """Return a hash of a script and of every `trainorder` module it imports, transitively.

    Syntax trees are hashed, without docstrings: comments, layout and documentation do not count.

    Args:
        script: the script.
        names: dotted names that the script imports at run time, such as the class of an estimator.

    """
    starts = [Path(script).resolve(), *(file for name in names for file in _module_files(name))]
    return digest([_tree_hash(path) for path in sorted(_closure(starts))])


def _closure(starts: Iterable[Path]) -> frozenset[Path]:
    seen: set[Path] = set()
    queue = list(starts)
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
        if isinstance(body, list):  # not only the first statement: fields have docstrings, too
            body[:] = [statement for statement in body if not _is_docstring(statement)]
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
    heads = [PACKAGE.joinpath(*parts[1:i]) for i in range(1, len(parts) + 1)]
    files = [file for head in heads for file in (head / "__init__.py", head.with_suffix(".py"))]
    return [path for path in files if path.is_file()]
