"""The summary of a corpus that was built from text (`corpus.json`)."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.text_paths import PLAIN, text_files
from trainorder.config.unit_labels import LABELS
from trainorder.data import archives
from trainorder.data.corpus import Corpus, token_numbers
from trainorder.data.packing import Packed
from trainorder.data.text_counts import TextCounts
from trainorder.data.tokenizer import Tokenizer


def summary(
    corpus: Corpus,
    tokenizer: Tokenizer,
    config: CorpusConfig,
    documents: Mapping[str, Mapping[str, int]],
    packed: Mapping[str, Mapping[str, Packed]],
    counts: TextCounts,
    *,
    commit: str | None,
) -> dict[str, Any]:
    """Return what a corpus contains and where it came from, as JSON values.

    Args:
        corpus: the corpus.
        tokenizer: its tokenizer.
        config: the section `corpus`.
        documents: by domain and part, the number of documents.
        packed: by domain and part, the sequences.
        counts: what the readers of text removed or met.
        commit: the commit of a dataset of the hub; None if it is not known.

    """
    domains = {}
    for index, domain in enumerate(corpus.domains):
        domains[domain] = {
            **_origin(domain, config, commit),
            "removed": counts.removed_from(domain),
            "splits": {
                part: _part(documents[domain][part], packed[domain][part], config)
                for part in packed[domain]
            },
            "heldout_characters_per_token": _density(corpus.heldout[index], tokenizer),
        }
    return {
        "source": config.source,
        "tokenizer": {
            "origin": config.tokenizer or "trained on warm-up documents",
            "commit": tokenizer.commit,
            "vocabulary": tokenizer.vocabulary,
            "end_of_text": tokenizer.end,
        },
        "sequence_length": config.sequence_length,
        "units": {
            label: corpus.unit_domains.count(label)
            for label in [*corpus.domains, *LABELS]
            if label in corpus.unit_domains
        },
        "domains": domains,
        **counts.as_dict(),
        "notes": list(counts.lines(chats=config.chats)),
    }


def _part(documents: int, packed: Packed, config: CorpusConfig) -> dict[str, int]:
    entry = {
        "documents": documents,
        "documents_used": packed.documents,
        "sequences": len(packed.sequences),
        "tokens": int(packed.sequences.size),
    }
    if config.one_sequence_each:
        entry["learnt_tokens"] = int((packed.sequences >= 0).sum())
        entry["chats_cut" if config.chats else "pairs_cut"] = packed.cut
    return entry


def _origin(domain: str, config: CorpusConfig, commit: str | None) -> dict[str, Any]:
    if config.source == "hub":
        return {"from": {**asdict(config.hub), "commit": commit} if config.hub is not None else {}}
    if config.source != "packages":
        return {"from": _files_of(domain, config)}
    (pinned,) = archives.select([domain])
    return {
        "from": {"package": pinned.name, "version": pinned.version, "sha256": pinned.sha256},
        "licence": pinned.licence,
    }


def _files_of(domain: str, config: CorpusConfig) -> list[str]:
    """Return the files that may have text of a domain, which a .txt file states by its name."""
    files = text_files(config.files)
    return [file.path for file in files if file.kind != PLAIN or file.domain == domain]


def _density(sequences: np.ndarray, tokenizer: Tokenizer) -> float:
    """Return characters per token, prompts included and end-of-text tokens excluded."""
    tokens = token_numbers(sequences)
    tokens = tokens[tokens != tokenizer.end]
    return round(len(tokenizer.decode(tokens.tolist())) / max(1, len(tokens)), 4)
