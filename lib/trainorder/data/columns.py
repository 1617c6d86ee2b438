"""Columns of a row of a user's text: the texts and the domain."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trainorder.config.sections import CorpusConfig
from trainorder.errors import UserError

_SHOWN = 12  # names in an error message at most


def check_columns(where: str, columns: Iterable[str], config: CorpusConfig, *needed: str) -> None:
    """Check that all `needed` columns exist.

    Raises:
        UserError: one is missing; the line starts with `where` and names the existing columns.

    """
    existing = list(columns)
    texts = "prompt_column and corpus.response_column" if config.pairs else "text_column"
    for column in needed:
        if column not in existing:
            key = "domain_column" if column == config.domain_column else texts
            raise UserError(
                f"{where}: no column `{column}`; the columns are {listed(existing)}; "
                f"set corpus.{key}, or add this column to each document"
            )


def document(where: str, row: Mapping[str, Any], config: CorpusConfig) -> tuple[str, ...]:
    """Return the texts of a row, in the sequence of `CorpusConfig.columns`, and its domain.

    Raises:
        UserError: a text is not a string or not valid Unicode, or the domain is empty.

    """
    values = (
        *(_text(where, row, column) for column in config.columns.values()),
        domain_of_row(where, row, config),
    )
    if re.search("[\ud800-\udfff]", "".join(values)):
        raise UserError(f"{where}: contains a lone surrogate (invalid Unicode); correct the text")
    return values


def _text(where: str, row: Mapping[str, Any], column: str) -> str:
    value = row[column]
    if value is not None and not isinstance(value, str):
        raise UserError(f"{where}: column `{column}` is not text; name a column of strings")
    return value or ""


def domain_of_row(where: str, row: Mapping[str, Any], config: CorpusConfig) -> str:
    """Return the domain of a row as text.

    Raises:
        UserError: it is empty.

    """
    value = row[config.domain_column]
    if value is None or str(value).strip() == "":
        raise UserError(
            f"{where}: column `{config.domain_column}` is empty; each document needs a domain"
        )
    return str(value)


def listed(names: Sequence[str]) -> str:
    """Return the first names as text, and how many more there are."""
    shown = ", ".join(names[:_SHOWN]) or "none"
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
