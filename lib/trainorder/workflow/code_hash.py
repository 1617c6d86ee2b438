"""A hash of a script, of the library modules it imports, and of the data files that these read."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from trainorder.storage.provenance import digest

PACKAGE = Path(__file__).parents[1]
DESCRIPTORS = Path("config/methods.py")  # in the package


def code_hash(script: str | Path, *names: str) -> str:
    """Return a hash of a script and of every `trainorder` module it imports, transitively.

    Python files count by their syntax trees without docstrings and without the texts of errors, so
    comments, layout, documentation and messages do not count. The method descriptors do not count
    either, because a new one changes no result: callers add those that a job uses. A data file
    (template, JavaScript, `.mplstyle`) counts by its bytes if it lies beside a module that contains
    its name as a string.

    Args:
        script: the script.
        names: dotted names that the script imports at run time, such as the class of an estimator.

    """
    starts = [Path(script).resolve(), *(file for name in names for file in _module_files(name))]
    return digest([_content(path).hash for path in sorted(_closure(starts), key=_place)])


def _place(path: Path) -> tuple[bool, Path]:
    """Return the key that sorts files; the script is last, wherever the package is installed."""
    return not path.is_relative_to(PACKAGE), path


def _closure(starts: Iterable[Path]) -> frozenset[Path]:
    seen: set[Path] = set()
    queue = list(starts)
    while queue:
        path = queue.pop()
        if path not in seen:
            seen.add(path)
            queue.extend(_content(path).used)
    return frozenset(seen)


class _Content(NamedTuple):
    """The hash of a file, the modules that it imports and the data files that it names."""

    hash: str
    used: tuple[Path, ...]


@cache
def _content(path: Path) -> _Content:
    content = path.read_bytes()
    used: tuple[Path, ...] = ()
    if path.suffix == ".py":
        tree = ast.parse(content, filename=str(path))
        nodes = list(ast.walk(tree))
        modules = {module for name in _imported(nodes) for module in _module_files(name)}
        used = tuple(sorted(modules | _data_files(path, nodes)))
        _remove_docstrings(nodes)
        _remove_error_texts(nodes)
        if path == PACKAGE / DESCRIPTORS:
            _remove_descriptors(tree)
        content = ast.dump(tree).encode()
    return _Content(hashlib.sha256(content).hexdigest(), used)


def _remove_docstrings(nodes: list[ast.AST]) -> None:
    for node in nodes:
        body = getattr(node, "body", None)
        if isinstance(body, list):  # not only the first statement: fields have docstrings, too
            body[:] = [statement for statement in body if not _is_docstring(statement)]


def _remove_error_texts(nodes: list[ast.AST]) -> None:
    for node in nodes:
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc.args = [
                argument
                for argument in node.exc.args
                if not isinstance(argument, ast.Constant | ast.JoinedStr)
            ]


def _remove_descriptors(tree: ast.Module) -> None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            node.value.elts = []


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _imported(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the full names that the imports of a module may mean."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module_files(name: str) -> tuple[Path, ...]:
    """Return the files of a module of the package and of the packages that contain it."""
    return _files(PACKAGE, name) if name.split(".")[0] == PACKAGE.name else ()


@cache
def _files(package: Path, name: str) -> tuple[Path, ...]:
    parts = name.split(".")
    heads = [package.joinpath(*parts[1:i]) for i in range(1, len(parts) + 1)]
    files = [file for head in heads for file in (head / "__init__.py", head.with_suffix(".py"))]
    return tuple(path for path in files if path.is_file())


def _data_files(path: Path, nodes: list[ast.AST]) -> set[Path]:
    """Return the data files in the folder of a module of the package that it names."""
    if not path.is_relative_to(PACKAGE):
        return set()
    texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return {file for file in data_files(path.parent) if file.name in texts}


@cache
def data_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of a package folder that are not Python."""
    return tuple(file for file in folder.iterdir() if file.is_file() and file.suffix != ".py")
