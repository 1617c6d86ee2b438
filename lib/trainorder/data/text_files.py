"""Documents from a user's files: plain text, JSON, tables and parquet, compressed or not."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.text_paths import PLAIN, TextFile, text_files
from trainorder.data.columns import check_columns, document, has_column, listed
from trainorder.data.decoding import decoded
from trainorder.data.text_counts import TextCounts
from trainorder.data.tokenizer import END_OF_TEXT
from trainorder.errors import UserError
from trainorder.storage.formats import json_value

_DOCUMENT_CHARACTERS = 2000  # paragraphs of a .txt file are joined up to this length

Rows = Iterable[tuple[str, Mapping[str, Any]]]  # the place of a row, for messages, and its columns


def read_file(
    file: TextFile, config: CorpusConfig, counts: TextCounts
) -> Iterator[tuple[str | None, ...]]:
    """Yield the texts, in the sequence of `CorpusConfig.columns`, and the domain of each document.

    Raises:
        UserError: the file cannot be read, a line or row is invalid, or a column is missing.

    """
    if file.kind == PLAIN:
        for text in _SPLIT[config.txt_documents](decoded(file.path, counts)):
            counts.origins.setdefault(file.domain, {})[file.origin] = None
            yield text, file.domain
        return
    column, domain = config.domain_column, None
    for number, (where, row) in enumerate(_READERS[file.kind](file, config, counts)):
        if number == 0 and config.has_default_domain_column and not has_column(row, column):
            domain = file.domain
            counts.unlabelled[domain] += 1
            counts.origins.setdefault(domain, {})[file.origin] = None
        elif domain is not None and has_column(row, column):
            raise UserError(
                f"{where}: has the column `{column}`, but the first row has not; add it to every "
                "row, or name another column in corpus.domain_column"
            )
        needed = [*config.columns.values(), *([column] if domain is None else [])]
        check_columns(where, row, config, needed)
        yield document(where, row, config, domain)


def lines_without_blanks(config: CorpusConfig, domain: str) -> tuple[str, int] | None:
    """Return the first .txt file of a domain whose lines may be documents, and their number.

    Such a file has several lines and no blank line between them.

    Raises:
        UserError: a file cannot be read.

    """
    if config.source != "files" or config.txt_documents != "paragraphs":
        return None
    for file in text_files(config.files):
        if file.kind == PLAIN and file.domain == domain:
            text = decoded(file.path, TextCounts()).strip("\n")
            lines = text.split("\n")
            if len(lines) > 1 and all(line.strip() for line in lines):
                return file.path, len(lines)
    return None


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.split("\n") if line.strip())


def _separated(text: str) -> Iterator[str]:
    return (part.strip("\n") for part in text.split(END_OF_TEXT) if part.strip())


def _passages(text: str) -> Iterator[str]:
    """Yield documents of whole paragraphs, each but the last of `_DOCUMENT_CHARACTERS` or more."""
    group: list[str] = []
    for paragraph in _paragraphs(text):
        group.append(paragraph)
        if sum(map(len, group)) >= _DOCUMENT_CHARACTERS:
            yield "\n\n".join(group)
            group = []
    if group:
        yield "\n\n".join(group)


def _paragraphs(text: str) -> Iterator[str]:
    lines: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            lines.append(line.rstrip())
        elif lines:
            yield "\n".join(lines)
            lines = []


_SPLIT = {"paragraphs": _passages, "lines": _lines, "end_of_text": _separated}


def _read_json_lines(file: TextFile, config: CorpusConfig, counts: TextCounts) -> Rows:
    return _objects(file.path, decoded(file.path, counts))


def _objects(path: str, text: str) -> Rows:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json_value(where, line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise UserError(f"{where}: not JSON: {error}; write one JSON object per line") from None
        if not isinstance(row, dict):
            raise UserError(f"{where}: not a JSON object; write one JSON object per line")
        yield where, row


def _read_json(file: TextFile, config: CorpusConfig, counts: TextCounts) -> Rows:
    """Return the objects of a list, or those of lines: both are found in .json files."""
    text = decoded(file.path, counts)
    try:
        content = json_value(file.path, text)
    except (json.JSONDecodeError, RecursionError) as error:
        if str(error).startswith("Extra data"):
            return _objects(file.path, text)
        raise UserError(f"{file.path}: not JSON: {error}; write a list of objects") from None
    if isinstance(content, dict):
        content = _listed_rows(file.path, content, config)
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise UserError(f"{file.path}: not a list of objects; write one object for each document")
    return ((f"{file.path}: object {number}", row) for number, row in enumerate(content))


def _listed_rows(path: str, content: dict[str, Any], config: CorpusConfig) -> list[Any]:
    """Return the objects under the only key of an object, or the object itself as the only one."""
    if not content or not all(_is_list_of_objects(value) for value in content.values()):
        return [content]
    if {*config.columns.values()} & content.keys():  # a chat is a list of objects, too
        return [content]
    if len(content) > 1:
        raise UserError(
            f"{path}: has several lists of objects, {listed(content)}; write a file for each of "
            "them, or one list"
        )
    rows: list[Any] = next(iter(content.values()))
    return rows


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _check_names(path: str, names: Sequence[str]) -> None:
    """Raise `UserError` if two columns have one name, as only one of them would be read."""
    for name in names:
        if name and names.count(name) > 1:
            raise UserError(f"{path}: duplicate column `{name}`; keep or rename one of the two")


def _read_table(file: TextFile, config: CorpusConfig, counts: TextCounts) -> Rows:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a cell holds a document
    text = StringIO(decoded(file.path, counts), newline="")
    reader = csv.DictReader(text, delimiter="\t" if file.kind == ".tsv" else ",", strict=True)
    try:
        _check_names(file.path, list(reader.fieldnames or []))
        for number, row in enumerate(reader):
            where = f"{file.path}: row {number}"
            if None in row:
                raise UserError(
                    f"{where}: has more cells than the first line has names; quote texts that "
                    "contain the separator"
                )
            yield where, row
    except csv.Error as error:
        raise UserError(f"{file.path}: not readable as a table: {error}; correct it") from None


def _read_parquet(file: TextFile, config: CorpusConfig, counts: TextCounts) -> Rows:
    import pyarrow
    import pyarrow.parquet

    texts = list(config.columns.values())
    try:
        names = pyarrow.parquet.read_schema(file.path).names
        _check_names(file.path, names)
        tops = [name if name in names else name.split(".")[0] for name in texts]
        if not {*tops} <= {*names}:
            batch = next(pyarrow.parquet.ParquetFile(file.path).iter_batches(batch_size=1), None)
            first = batch.to_pylist() if batch else []
            check_columns(file.path, first[0] if first else dict.fromkeys(names), config, texts)
        domain = config.domain_column
        tops.append(domain if domain in names else domain.split(".")[0])
        columns = [name for name in names if name in tops]
        table = pyarrow.parquet.read_table(file.path, columns=columns)
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(
            f"{file.path}: not readable as parquet: {error}; replace the file"
        ) from None
    for number, row in enumerate(table.to_pylist()):
        yield f"{file.path}: row {number}", row


_READERS: dict[str, Callable[[TextFile, CorpusConfig, TextCounts], Rows]] = {
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
    ".csv": _read_table,
    ".tsv": _read_table,
    ".parquet": _read_parquet,
}
