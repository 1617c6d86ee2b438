"""The files of text that `corpus.files` names: single files, folders and patterns."""

import re
from collections.abc import Iterator, Sequence
from glob import glob, has_magic
from os.path import (
    abspath,
    dirname,
    isdir,
    isfile,
)  # return False for an impossible path, where pathlib raises
from pathlib import Path
from typing import NamedTuple

from trainorder.config.types import UNPRINTABLE
from trainorder.errors import UserError

PLAIN, _PARQUET = ".txt", ".parquet"
KINDS = (PLAIN, ".jsonl", ".ndjson", ".json", ".csv", ".tsv", _PARQUET)
COMPRESSED = (".gz", ".zst", ".bz2", ".xz")
_EXPECTED = f"expected {', '.join(KINDS)}, all but the last possibly with {', '.join(COMPRESSED)}"


class TextFile(NamedTuple):
    """A file of text.

    Attributes:
        path: of the file.
        kind: the ending in lower case, without that of a compression; one of `KINDS`.
        domain: of its documents, unless a column gives it: the name of a file that is listed by
            itself, or the folder of a file that belongs to a listed folder or pattern.
        origin: the path that gives the domain: of the folder, or of the file without its endings.

    """

    path: str
    kind: str
    domain: str
    origin: str


def text_files(names: Sequence[str], *, columns: bool = False) -> list[TextFile]:
    """Return the files of `corpus.files`, each once. A file that is named need not exist.

    Args:
        names: files, folders and patterns. In a folder and its subfolders, all files of known kinds
            are read; names that begin with a dot are skipped.
        columns: whether the documents consist of columns, which a .txt file does not have.

    Raises:
        UserError: a folder or pattern without text, or a file of another kind.

    """
    files: dict[str, TextFile] = {}
    for name in names:
        for file in _named(name):
            if columns and file.kind == PLAIN:
                raise UserError(
                    f"config: corpus.files: {file.path}: a .txt file has no columns of prompts, "
                    "responses or messages; use .jsonl or .parquet"
                )
            files.setdefault(file.path, file)
    return list(files.values())


def _named(name: str) -> Iterator[TextFile]:
    """Yield the files that one entry names."""
    where = f"config: corpus.files: {name}"
    if isdir(name):
        paths = [str(p) for p in sorted(Path(name).rglob("*")) if not _is_hidden(p, Path(name))]
    elif has_magic(name) and not isfile(name):
        paths = sorted(glob(name, recursive=True))
    else:
        if (kind := _kind(name)) is None:
            raise UserError(
                f"{where}: the kind of this file is not known; {_EXPECTED}, or a folder"
            )
        yield TextFile(name, kind, _stem(name), str(Path(name).with_name(_stem(name))))
        return
    files = [(path, kind) for path in paths if isfile(path) and (kind := _kind(path)) is not None]
    if not files:
        raise UserError(f"{where}: no files of text there; {_EXPECTED}")
    for path, kind in files:
        if invalid := re.search(f"[{{}}{UNPRINTABLE}]", path):
            raise UserError(
                f"{where}: {path!r} contains {invalid[0]!r}, which Snakemake paths cannot; rename "
                "it"
            )
        yield TextFile(path, kind, Path(abspath(path)).parent.name or _stem(path), dirname(path))


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _kind(name: str) -> str | None:
    """Return the kind of a file by the ending of its name, or None if it is unknown.

    Raises:
        UserError: a parquet file that is compressed as a whole.

    """
    path = Path(name.lower())
    suffix = Path(path.stem).suffix if path.suffix in COMPRESSED else path.suffix
    if suffix == _PARQUET != path.suffix:
        raise UserError(
            f"config: corpus.files: {name}: a {_PARQUET} file is compressed inside, and is not "
            f"read with the ending {path.suffix}; decompress it"
        )
    return suffix if suffix in KINDS else None


def _stem(name: str) -> str:
    """Return the name of a file without its endings."""
    path = Path(name)
    return Path(path.stem).stem if path.suffix.lower() in COMPRESSED else path.stem
