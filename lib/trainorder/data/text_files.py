"""Documents from a user's files: plain text, JSON lines and parquet."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from trainorder.config.sections import CorpusConfig
from trainorder.data.columns import check_columns, document
from trainorder.errors import UserError

_DOCUMENT_CHARACTERS = 2000  # paragraphs of a .txt file are joined up to this length


def read_file(path: Path, config: CorpusConfig) -> Iterable[tuple[str, ...]]:
    """Yield the texts, in the sequence of `CorpusConfig.columns`, and the domain of each document.

    Raises:
        UserError: the file cannot be read, a line or row is invalid, or a column is missing.

    """
    readers = {".txt": _read_txt, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    return readers[path.suffix](path, config)


def _decoded(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}; correct corpus.files or make it readable"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}; convert the file") from None


def _read_txt(path: Path, config: CorpusConfig) -> Iterable[tuple[str, ...]]:
    """Yield documents of whole paragraphs, each but the last of `_DOCUMENT_CHARACTERS` or more."""
    group: list[str] = []
    for paragraph in _paragraphs(_decoded(path)):
        group.append(paragraph)
        if sum(map(len, group)) >= _DOCUMENT_CHARACTERS:
            yield "\n\n".join(group), path.stem
            group = []
    if group:
        yield "\n\n".join(group), path.stem


def _paragraphs(text: str) -> Iterator[str]:
    lines: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            lines.append(line.rstrip())
        elif lines:
            yield "\n".join(lines)
            lines = []


def _read_jsonl(path: Path, config: CorpusConfig) -> Iterable[tuple[str, ...]]:
    for number, line in enumerate(_decoded(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: not JSON: {error}; write one JSON object per line") from None
        if not isinstance(row, dict):
            raise UserError(f"{where}: not a JSON object; write one JSON object per line")
        check_columns(where, row, config, *config.columns.values(), config.domain_column)
        yield document(where, row, config)


def _read_parquet(path: Path, config: CorpusConfig) -> Iterable[tuple[str, ...]]:
    import pyarrow
    import pyarrow.parquet

    needed = (*config.columns.values(), config.domain_column)
    try:
        check_columns(str(path), pyarrow.parquet.read_schema(path).names, config, *needed)
        table = pyarrow.parquet.read_table(path, columns=list(needed))
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"{path}: not readable as parquet: {error}; replace the file") from None
    for number, row in enumerate(table.to_pylist()):
        yield document(f"{path}: row {number}", row, config)
