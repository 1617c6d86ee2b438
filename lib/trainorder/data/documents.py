"""Documents with a domain, from pinned packages, from a user's files, or from a hub dataset."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainorder.config.sections import CorpusConfig
from trainorder.data import packages
from trainorder.errors import UserError, not_loaded

if TYPE_CHECKING:
    import datasets

MIXED = "mixed"  # the label of units that mix domains, so no domain's name
_GROUP = 2000  # characters: paragraphs of a .txt file are joined until a document has as many


def documents(config: CorpusConfig, archives: Mapping[str, str | Path]) -> "datasets.Dataset":
    """Return the study's documents: columns `text` and `domain`, both strings.

    Of pairs `text` is the response, and there is a column `prompt`. Documents of blank text and
    exact duplicates are dropped, a duplicate in another domain too, since splits must not share
    text.

    Args:
        config: the section `corpus`.
        archives: for source `packages`, the path of each domain's archive.

    Raises:
        UserError: text that cannot be read, a missing column, a domain that is not there.

    """
    if config.source == "packages":
        rows = _from_packages(config, archives)
    elif config.source == "files":
        rows = _from_files(config)
    else:
        rows = _from_hub(config)
    return _distinct(rows, config)


def _rows(rows: "datasets.Dataset") -> Iterator[tuple[str, str, str]]:
    """Yield prompt (or nothing), text and domain of every document, read a thousand at a time."""
    for batch in rows.iter(batch_size=1000):
        prompts = batch.get("prompt", [None] * len(batch["text"]))
        yield from zip(
            (prompt or "" for prompt in prompts), batch["text"], batch["domain"], strict=True
        )


def _dataset(columns: dict[str, list[str]]) -> "datasets.Dataset":
    import datasets

    features = datasets.Features({name: datasets.Value("string") for name in columns})
    return datasets.Dataset.from_dict(columns, features=features)


def _from_packages(config: CorpusConfig, archives: Mapping[str, str | Path]) -> "datasets.Dataset":
    texts: list[str] = []
    domains: list[str] = []
    for package in packages.select(config.domains):
        if package.domain not in archives:
            raise UserError(f"corpus: {package.domain}: its archive is not given; run rule `fetch`")
        found = packages.read(package, archives[package.domain])
        texts += found
        domains += [package.domain] * len(found)
    return _dataset({"text": texts, "domain": domains})


def _from_files(config: CorpusConfig) -> "datasets.Dataset":
    columns: dict[str, list[str]] = {name: [] for name in (*config.columns, "domain")}
    for name in config.files:
        path = Path(name)
        read = {".txt": _read_txt, ".jsonl": _read_jsonl, ".parquet": _read_parquet}[path.suffix]
        for document in read(path, config):
            for column, value in zip(columns.values(), document, strict=True):
                column.append(value)
    return _dataset(columns)


def _decoded(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}; convert the file") from None


def _read_txt(path: Path, config: CorpusConfig) -> Iterable[tuple[str, ...]]:
    """Yield documents of whole paragraphs, of at least `_GROUP` characters but for the last."""
    group: list[str] = []
    for paragraph in _paragraphs(_decoded(path)):
        group.append(paragraph)
        if sum(map(len, group)) >= _GROUP:
            yield "\n\n".join(group), path.stem
            group = []
    if group:
        yield "\n\n".join(group), path.stem


def _paragraphs(text: str) -> Iterable[str]:
    lines: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            lines.append(line.rstrip())
        elif lines:
            yield "\n".join(lines)
            lines = []


def _read_jsonl(path: Path, config: CorpusConfig) -> Iterable[tuple[str, ...]]:
    needed = (*config.columns.values(), config.domain_column)
    for number, line in enumerate(_decoded(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: not JSON: {error}") from None
        if not isinstance(row, dict):
            raise UserError(f"{where}: not a JSON object of columns")
        _need_columns(where, row, needed, config)
        yield _document(where, row, config)


def _read_parquet(path: Path, config: CorpusConfig) -> Iterable[tuple[str, ...]]:
    import pyarrow
    import pyarrow.parquet

    needed = (*config.columns.values(), config.domain_column)
    try:
        _need_columns(str(path), pyarrow.parquet.read_schema(path).names, needed, config)
        table = pyarrow.parquet.read_table(path, columns=list(needed))
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"{path}: not readable as parquet: {error}") from None
    for number, row in enumerate(table.to_pylist()):
        yield _document(f"{path}: row {number}", row, config)


def _need_columns(
    where: str, there: Iterable[str], needed: Iterable[str], config: CorpusConfig
) -> None:
    there = list(there)
    texts = "prompt_column and corpus.response_column" if config.pairs else "text_column"
    for column in needed:
        if column not in there:
            key = "domain_column" if column == config.domain_column else texts
            raise UserError(
                f"{where}: no column `{column}`; there are {_listed(there)}; "
                f"set corpus.{key}, or give each document that column"
            )


def _document(where: str, row: Mapping[str, Any], config: CorpusConfig) -> tuple[str, ...]:
    """Return the texts of a row, as `CorpusConfig.columns`, and its domain."""
    found = (
        *(_text(where, row, column) for column in config.columns.values()),
        _domain(where, row, config),
    )
    if re.search("[\ud800-\udfff]", "".join(found)):
        raise UserError(f"{where}: holds half of a surrogate pair, which is no text; mend it")
    return found


def _text(where: str, row: Mapping[str, Any], column: str) -> str:
    value = row[column]
    if value is not None and not isinstance(value, str):
        raise UserError(f"{where}: column `{column}` is not text")
    return value or ""


def _domain(where: str, row: Mapping[str, Any], config: CorpusConfig) -> str:
    value = row[config.domain_column]
    if value is None or str(value).strip() == "":
        raise UserError(f"{where}: column `{config.domain_column}` is empty")
    return str(value)


def _from_hub(config: CorpusConfig) -> "datasets.Dataset":
    import datasets

    if config.hub is None:
        raise ValueError("the source is not a dataset of the hub")
    name = config.hub.name
    try:
        rows = datasets.load_dataset(name, config.hub.subset, split=config.hub.split)
    except Exception as error:  # the hub client raises types of several libraries
        raise not_loaded("corpus.hub", name, error) from None
    where = f"corpus.hub: {name}"
    _need_columns(where, rows.column_names, config.columns.values(), config)
    for column in config.columns.values():
        if getattr(rows.features[column], "dtype", None) not in ("string", "large_string"):
            raise UserError(f"{where}: column `{column}` is not text")
    domains = _hub_domains(rows, config, where, Path(name).name)
    rows = rows.select_columns(list(config.columns.values()))
    rows = rows.rename_columns({column: name for name, column in config.columns.items()})
    return rows.add_column("domain", domains)


def _hub_domains(
    rows: "datasets.Dataset", config: CorpusConfig, where: str, default: str
) -> list[str]:
    """Return a domain a row: of the domain column, or the dataset's own name without one."""
    if config.domain_column not in rows.column_names:
        return [default] * len(rows)
    names = getattr(rows.features[config.domain_column], "names", None)  # of class labels
    values = rows[config.domain_column]
    if names is not None:
        values = [names[value] for value in values]
    return [
        _domain(f"{where}: row {number}", {config.domain_column: value}, config)
        for number, value in enumerate(values)
    ]


def _distinct(rows: "datasets.Dataset", config: CorpusConfig) -> "datasets.Dataset":
    """Keep the wanted domains' documents that are not blank and were not seen before."""
    there = list(dict.fromkeys(domain for _, _, domain in _rows(rows)))
    _check_domains(there, config)
    wanted = set(there if config.domains is None else config.domains)
    seen: set[bytes] = set()
    kept: list[int] = []
    for index, (prompt, text, domain) in enumerate(_rows(rows)):
        if domain not in wanted or text is None or not text.strip():
            continue
        whole = json.dumps([prompt.strip(), text.strip()])
        fingerprint = hashlib.sha256(whole.encode()).digest()
        if fingerprint not in seen:
            seen.add(fingerprint)
            kept.append(index)
    if not kept:
        raise UserError(f"corpus: source `{config.source}` holds no text")
    return rows.select(kept)


def _check_domains(there: list[str], config: CorpusConfig) -> None:
    if MIXED in there:
        raise UserError(
            f"corpus: a domain is called `{MIXED}`, the label of mixed units; rename it"
        )
    for domain in config.domains or []:
        if domain not in there:
            raise UserError(
                f"config: corpus.domains: {domain}: not in source `{config.source}`; there are "
                f"{_listed(there)} (null takes all)"
            )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:12]) or "none"
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown


def index(rows: "datasets.Dataset") -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return, for each domain, its documents' row numbers and characters, (documents,) int64."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    for number, (prompt, text, domain) in enumerate(_rows(rows)):
        numbers, characters = found.setdefault(domain, ([], []))
        numbers.append(number)
        characters.append(len(prompt) + len(text))
    return {
        domain: (np.array(numbers, dtype=np.int64), np.array(characters, dtype=np.int64))
        for domain, (numbers, characters) in found.items()
    }
