"""Documents with a domain, from pinned packages, from a user's files, or from a hub dataset."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainorder.config.sections import CorpusConfig
from trainorder.data import archives as pinned_archives
from trainorder.data import packages
from trainorder.data.columns import listed
from trainorder.data.corpus import MIXED
from trainorder.data.hub import load_hub
from trainorder.data.text_files import read_file
from trainorder.errors import UserError

if TYPE_CHECKING:
    import datasets


def documents(config: CorpusConfig, archives: Mapping[str, str | Path]) -> "datasets.Dataset":
    """Return the documents of a study: columns `text` and `domain`, both strings.

    For pairs, `text` is the response and there is a column `prompt`. Blank documents and exact
    duplicates are dropped. A duplicate in another domain is dropped too, because training and
    held-out text must not share documents.

    Args:
        config: the section `corpus`.
        archives: for source `packages`, the path of the archive of each domain.

    Raises:
        UserError: text that cannot be read, a missing column, or a missing domain.

    """
    if config.source == "packages":
        rows = _from_packages(config, archives)
    elif config.source == "files":
        rows = _from_files(config)
    else:
        rows = load_hub(config)
    return _distinct(rows, config)


def index(rows: "datasets.Dataset") -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the row numbers and characters of each domain's documents, (documents,) int64."""
    lists: dict[str, tuple[list[int], list[int]]] = {}
    for number, (prompt, text, domain) in enumerate(_rows(rows)):
        numbers, characters = lists.setdefault(domain, ([], []))
        numbers.append(number)
        characters.append(len(prompt) + len(text))
    return {
        domain: (np.array(numbers, dtype=np.int64), np.array(characters, dtype=np.int64))
        for domain, (numbers, characters) in lists.items()
    }


def _rows(rows: "datasets.Dataset") -> Iterator[tuple[str, str, str]]:
    """Yield prompt (or nothing), text and domain of every document."""
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
    for pinned in pinned_archives.select(config.domains):
        if pinned.domain not in archives:
            raise UserError(f"corpus: {pinned.domain}: the archive is missing; run rule `fetch`")
        read = packages.read(pinned, archives[pinned.domain])
        texts += read
        domains += [pinned.domain] * len(read)
    return _dataset({"text": texts, "domain": domains})


def _from_files(config: CorpusConfig) -> "datasets.Dataset":
    columns: dict[str, list[str]] = {name: [] for name in (*config.columns, "domain")}
    for name in config.files:
        for values in read_file(Path(name), config):
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    return _dataset(columns)


def _distinct(rows: "datasets.Dataset", config: CorpusConfig) -> "datasets.Dataset":
    """Keep the first of equal documents in the selected domains, without blank ones."""
    domains = list(dict.fromkeys(domain for _, _, domain in _rows(rows)))
    _check_domains(domains, config)
    selected = set(domains if config.domains is None else config.domains)
    seen: set[bytes] = set()
    kept: list[int] = []
    for number, (prompt, text, domain) in enumerate(_rows(rows)):
        if domain not in selected or text is None or not text.strip():
            continue
        content = json.dumps([prompt.strip(), text.strip()])
        fingerprint = hashlib.sha256(content.encode()).digest()
        if fingerprint not in seen:
            seen.add(fingerprint)
            kept.append(number)
    if not kept:
        raise UserError(f"corpus: source `{config.source}` contains no text; add documents")
    return rows.select(kept)


def _check_domains(domains: list[str], config: CorpusConfig) -> None:
    if MIXED in domains:
        raise UserError(
            f"corpus: a domain is called `{MIXED}`, which is the label of mixed units; rename it"
        )
    for domain in config.domains or []:
        if domain not in domains:
            raise UserError(
                f"config: corpus.domains: {domain}: not in source `{config.source}`; choose from "
                f"{listed(domains)} (null selects all)"
            )
