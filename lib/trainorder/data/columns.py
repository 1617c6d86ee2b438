"""Columns of a row of a user's text: the texts and the domain."""

import ast
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.data.messages import messages_text
from trainorder.errors import UserError

_SHOWN = 12  # names in an error message at most
_LETTERS = 40  # of a name in an error message at most
_OBJECT = re.compile(r"""\{\s*['"]""")  # begins the text of an object
_ABSENT = object()


def value_at(row: Mapping[str, Any], column: str) -> Any:
    """Return the value of a column. `a.b` is a column of this name, or key `b` of the object `a`.

    The object may be written as text, as tables hold it.

    Raises:
        KeyError: there is no such column or key.

    """
    value = _value(row, column)
    if value is _ABSENT:
        raise KeyError(column)
    return value


def has_column(row: Mapping[str, Any], column: str) -> bool:
    """Return whether `value_at` finds a value."""
    return _value(row, column) is not _ABSENT


def _value(row: Mapping[str, Any], column: str) -> Any:
    value: Any = row
    for part in [column] if column in row else column.split("."):
        value = structured(value)
        if not isinstance(value, Mapping) or part not in value:
            return _ABSENT
        value = value[part]
    return value


def structured(value: Any) -> Any:
    """Return the object or list that a text holds, as JSON or as Python writes it; else `value`."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            content = read(value.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(content, dict | list):
            return content
    return value


def check_columns(
    where: str, row: Mapping[str, Any], config: CorpusConfig, needed: Iterable[str]
) -> None:
    """Check that a row has all `needed` columns.

    Raises:
        UserError: one is missing; the line starts with `where` and names the existing columns.

    """
    for column in needed:
        if not has_column(row, column):
            key = "domain_column" if column == config.domain_column else config.column_keys
            chats = next((name for name, value in row.items() if is_chat(value)), None)
            other = "" if chats is None else f", or for chats corpus.messages_column: {chats}"
            raise UserError(
                f"{where}: no column `{column}`; the columns are {listed(list(row))}; "
                f"set corpus.{key}{other}, or add this column to each document"
            )


def document(
    where: str, row: Mapping[str, Any], config: CorpusConfig, domain: str | None = None
) -> tuple[str | None, ...]:
    """Return the texts of a row, in the sequence of `CorpusConfig.columns`, and its domain.

    Args:
        where: the place of the row, for messages.
        row: values by column.
        config: the section `corpus`.
        domain: of the row; None reads it from its column.

    Returns:
        None for a null, except as a prompt, where it is an empty text. A chat is the JSON text of
        its messages.

    Raises:
        UserError: a text is not a string or not valid Unicode, or the domain is empty.

    """
    read = messages_text if config.chats else text_of
    texts = [read(where, value_at(row, c), c) for c in config.columns.values()]
    if config.pairs:
        texts[0] = texts[0] or ""
    values = (*texts, domain_of_row(where, row, config) if domain is None else domain)
    if re.search("[\ud800-\udfff]", "".join(value or "" for value in values)):
        raise UserError(f"{where}: contains a lone surrogate (invalid Unicode); correct the text")
    return values


def text_of(where: str, value: Any, column: str) -> str | None:
    """Return the text in a column, or None for a null.

    Raises:
        UserError: it is not text.

    """
    if value is not None and not isinstance(value, str):
        raise UserError(
            f"{where}: column `{column}` is not text; {remedy('text_column', column, value)}"
        )
    return value


def domain_of_row(where: str, row: Mapping[str, Any], config: CorpusConfig) -> str:
    """Return the domain of a row as text.

    Raises:
        UserError: it is empty, or an object or a list, also as text.

    """
    column = config.domain_column
    value = structured(value_at(row, column))
    if value is None or str(value).strip() == "":
        raise UserError(f"{where}: column `{column}` is empty; each document needs a domain")
    if isinstance(value, Mapping | list | tuple):
        raise UserError(
            f"{where}: column `{column}` holds {_kind(value)}, which is no name of a domain; "
            f"{remedy('domain_column', column, value)}"
        )
    if isinstance(value, str) and _OBJECT.match(value):
        raise UserError(
            f"{where}: column `{column}` holds the text of an object that cannot be read: "
            f"{value[:_LETTERS]!r}; write it as JSON, or name another column"
        )
    return str(value)


def remedy(key: str, column: str, value: Any) -> str:
    """Return what to name instead of a column that holds `value`."""
    if isinstance(value, Mapping) and value:
        first = next(iter(value))
        return f"name one of its keys, for instance corpus.{key}: {column}.{first}"
    if is_chat(value):
        return "name a column of strings, or for chats set corpus.messages_column"
    return "name a column of strings"


def is_chat(value: Any) -> bool:
    """Return whether a value is a list of messages, also as text."""
    value = structured(value)
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, Mapping) and bool({"role", "from"} & first.keys())


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"an object with the keys {listed(list(value))}"
    return f"a list ({json.dumps(value, default=str)[:_LETTERS]})"


def listed(names: Iterable[str], *, whole: bool = False) -> str:
    """Return the first names as text, and how many more there are; `whole` keeps long names."""
    short = [
        name if whole or len(name) <= _LETTERS else f"{name[: _LETTERS - 3]}..."
        for name in map(str, names)
    ]
    shown = ", ".join(short[:_SHOWN]) or "none"
    return f"{shown} and {len(short) - _SHOWN} more" if len(short) > _SHOWN else shown
