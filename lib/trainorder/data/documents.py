"""Documents with a domain, from pinned packages, from a user's files, or from a hub dataset."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.text_paths import text_files
from trainorder.config.unit_labels import LABELS
from trainorder.data import archives as pinned_archives
from trainorder.data import packages
from trainorder.data.columns import listed
from trainorder.data.hub import load_hub
from trainorder.data.messages import contents, empty_answers, has_answer, roles
from trainorder.data.text_counts import DUPLICATE, EMPTY, NULL, UNANSWERED, TextCounts
from trainorder.data.text_files import read_file
from trainorder.errors import UserError

if TYPE_CHECKING:
    import datasets


def documents(
    config: CorpusConfig, archives: Mapping[str, str | Path], counts: TextCounts | None = None
) -> "datasets.Dataset":
    """Return the documents of a study: columns `text` and `domain`, both strings.

    For pairs, `text` is the response and there is a column `prompt`. For chats, it is the JSON text
    of the messages. Blank documents, exact duplicates and chats without an assistant message are
    dropped. A duplicate in another domain is dropped too, because training and held-out text must
    not share documents.

    Args:
        config: the section `corpus`.
        archives: for source `packages`, the path of the archive of each domain.
        counts: where dropped documents are counted.

    Raises:
        UserError: text that cannot be read, a missing column, or a missing domain.

    """
    counts = TextCounts() if counts is None else counts
    if config.source == "packages":
        rows = _from_packages(config, archives)
    elif config.source == "files":
        rows = _from_files(config, counts)
    else:
        rows = load_hub(config)
    return _distinct(rows, config, counts)


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


def texts(rows: "datasets.Dataset") -> Iterator[str]:
    """Yield the text of every document, with the prompt of a pair before it."""
    return (prompt + text for prompt, text, _ in _rows(rows))


def _rows(rows: "datasets.Dataset") -> Iterator[tuple[str, Any, str]]:
    """Yield prompt (or nothing), text and domain of every document."""
    for batch in rows.iter(batch_size=1000):
        prompts = batch.get("prompt", [None] * len(batch["text"]))
        yield from zip(
            (prompt or "" for prompt in prompts), batch["text"], batch["domain"], strict=True
        )


def _dataset(columns: Mapping[str, Sequence[str | None]]) -> "datasets.Dataset":
    import datasets

    features = datasets.Features({name: datasets.Value("string") for name in columns})
    return datasets.Dataset.from_dict(dict(columns), features=features)


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


def _from_files(config: CorpusConfig, counts: TextCounts) -> "datasets.Dataset":
    columns: dict[str, list[str | None]] = {name: [] for name in (*config.columns, "domain")}
    for file in text_files(config.files, columns=config.one_sequence_each):
        before = len(columns["domain"])
        for values in read_file(file, config, counts):
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
        if len(columns["domain"]) == before:
            counts.empty_files.append(file.path)
    return _dataset(columns)


def _distinct(
    rows: "datasets.Dataset", config: CorpusConfig, counts: TextCounts
) -> "datasets.Dataset":
    """Keep the first of equal documents in the selected domains, without blank ones."""
    domains = list(dict.fromkeys(domain for _, _, domain in _rows(rows)))
    if not domains:
        raise _no_text(rows, config, counts)
    _check_domains(domains, config)
    selected = set(domains if config.domains is None else config.domains)
    seen: set[bytes] = set()
    kept: list[int] = []
    for number, (prompt, text, domain) in enumerate(_rows(rows)):
        if domain not in selected:
            continue
        if reason := _unusable(prompt, text, config, seen):
            counts.remove(domain, reason)
            continue
        if config.chats:
            counts.empty_answers += empty_answers(text)
        counts.keep(contents(text) if config.chats else prompt + text)
        kept.append(number)
    if not kept:
        raise _no_text(rows, config, counts)
    return rows.select(kept)


def _no_text(rows: "datasets.Dataset", config: CorpusConfig, counts: TextCounts) -> UserError:
    """Return the error for a source that has no document to keep, with what it has instead."""
    reasons = []
    if counts.empty_files:
        reasons.append(f"; files without documents: {listed(counts.empty_files, whole=True)}")
    if removed := sum(counts.removed.values(), Counter()):
        totals = ", ".join(f"{count} {reason}" for reason, count in removed.items())
        reasons.append(f"; removed documents: {totals}")
    if removed[UNANSWERED]:
        texts = (text for _, text, _ in _rows(rows) if text and text.strip())
        names = list(dict.fromkeys(role for text in texts for role in roles(text)))
        reasons.append(
            f"; no chat has an assistant message with text and without weight 0, the roles are "
            f"{listed(names)}"
        )
    return UserError(
        f"corpus: source `{config.source}` contains no text{''.join(reasons)}; add documents"
    )


def _unusable(prompt: str, text: str | None, config: CorpusConfig, seen: set[bytes]) -> str | None:
    """Return why a document is dropped, or None; `seen` has the hashes of those before it."""
    if text is None:
        return NULL
    if not text.strip():
        return EMPTY
    if config.chats and not has_answer(text):
        return UNANSWERED
    content = json.dumps([prompt.strip(), text.strip()])
    fingerprint = hashlib.sha256(content.encode()).digest()
    if fingerprint in seen:
        return DUPLICATE
    seen.add(fingerprint)
    return None


def _check_domains(domains: list[str], config: CorpusConfig) -> None:
    for label in LABELS:
        if label in domains:
            raise UserError(
                f"corpus: a domain is called `{label}`, which is the label of {label} units; "
                "rename it"
            )
    for domain in config.domains or []:
        if domain not in domains:
            raise UserError(
                f"config: corpus.domains: {domain}: not in source `{config.source}`; choose from "
                f"{listed(domains)} (null selects all)"
            )
