"""A corpus that is tokens already: the very sequences that a trainer of the user's own consumed.

It is one safetensors file with the integer tensors

    units (U, unit_size, L)    heldout (D, n, L)    warmup (N, L), in the order of the warm-up

`warmup` only where the study trains one. The metadata holds as JSON: `domains`, the D names;
`unit_domains`, for each unit a domain or `mixed`; and `vocabulary`, the size of the tokenizer.
Nothing is shuffled, cut or packed.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainorder.config.sections import CorpusConfig, WindowConfig
from trainorder.data.corpus import MIXED, Corpus
from trainorder.errors import UserError
from trainorder.storage.formats import sha256_file
from trainorder.storage.safetensors_files import opened_safetensors

_INTEGERS = ("I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64")


@dataclass(frozen=True)
class Labels:
    """What the metadata of a file says.

    Attributes:
        domains: names, in the order of `heldout`.
        unit_domains: U names, a domain or `mixed`.
        vocabulary: tokens are below it.

    """

    domains: list[str]
    unit_domains: list[str]
    vocabulary: int


def read_labels(path: str) -> Labels:
    """Read the metadata alone.

    Raises:
        UserError: the file is missing, no safetensors, or its metadata is not as described.

    """
    with opened_safetensors(path, "numpy") as file:
        metadata = file.metadata() or {}
    domains, unit_domains = (_names(path, metadata, key) for key in ("domains", "unit_domains"))
    vocabulary = _value(path, metadata, "vocabulary")
    if not isinstance(vocabulary, int) or isinstance(vocabulary, bool) or vocabulary < 2:
        raise UserError(f"{path}: metadata `vocabulary`: {vocabulary!r} is no number of tokens")
    if len(set(domains)) < len(domains) or MIXED in domains:
        raise UserError(f"{path}: metadata `domains`: a name comes twice, or is `{MIXED}`")
    for unit, name in enumerate(unit_domains):
        if name not in (*domains, MIXED):
            raise UserError(
                f"{path}: metadata `unit_domains`: unit {unit} is of {name!r}, which is no domain"
            )
    return Labels(domains, unit_domains, vocabulary)


def _value(path: str, metadata: dict[str, str], key: str) -> Any:
    try:
        return json.loads(metadata[key])
    except KeyError:
        raise UserError(f"{path}: metadata `{key}`: missing") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: metadata `{key}`: not readable as JSON: {error}") from None


def _names(path: str, metadata: dict[str, str], key: str) -> list[str]:
    names = _value(path, metadata, key)
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and n for n in names):
        raise UserError(f"{path}: metadata `{key}`: not a list of names")
    return names


def read_tokens(
    config: CorpusConfig, window: WindowConfig, warmup: bool
) -> tuple[Corpus, dict[str, Any]]:
    """Return the corpus of a file, as it is, and a summary that fits JSON.

    Args:
        config: the section `corpus`, of source `tokens`.
        window: the section `window`, for the sizes.
        warmup: whether the study trains on warm-up sequences; else they are not read.

    Raises:
        UserError: the file is not as described, or of other sizes than the configuration.

    """
    [path] = config.files
    labels = read_labels(path)
    if config.domains not in (None, labels.domains):
        raise UserError(
            f"{path}: its domains are {', '.join(labels.domains)}; make corpus.domains the same, "
            "or null"
        )
    if len(labels.unit_domains) != window.units:
        raise UserError(
            f"{path}: metadata `unit_domains`: {len(labels.unit_domains)} names, and window.units "
            f"is {window.units}"
        )
    length = ("corpus.sequence_length", config.sequence_length)
    count = ("the warm-up", window.warmup_steps * window.sequences_per_step)
    sizes = {
        "units": [("window.units", window.units), ("window.unit_size", window.unit_size), length],
        "heldout": [
            ("the number of domains", len(labels.domains)),
            ("corpus.heldout_sequences", config.heldout_sequences),
            length,
        ],
        **({"warmup": [count, length]} if warmup and window.warmup_steps else {}),
    }
    arrays = {
        name: _tokens(path, name, expected, labels.vocabulary) for name, expected in sizes.items()
    }
    none = np.zeros((0, config.sequence_length), np.int32)
    corpus = Corpus(
        domains=labels.domains,
        vocabulary=labels.vocabulary,
        warmup=arrays.get("warmup", none),
        units=arrays["units"],
        unit_domains=labels.unit_domains,
        heldout=arrays["heldout"],
    )
    return corpus, _summary(path, corpus)


def _tokens(path: str, name: str, sizes: list[tuple[str, int]], vocabulary: int) -> np.ndarray:
    """Return a tensor as int32, once its type, its sizes and its tokens are what they must be."""
    with opened_safetensors(path, "numpy") as file:
        if name not in set(file.keys()):
            raise UserError(f"{path}: has no tensor `{name}`")
        header = file.get_slice(name)
        kind, shape = header.get_dtype(), tuple(header.get_shape())
        if kind not in _INTEGERS:
            raise UserError(f"{path}: `{name}` is of {kind}; tokens are whole numbers")
        if len(shape) != len(sizes):
            raise UserError(
                f"{path}: `{name}` has {len(shape)} axes, not {len(sizes)}: "
                f"{', '.join(key for key, _ in sizes)}"
            )
        for axis, ((key, expected), found) in enumerate(zip(sizes, shape, strict=True)):
            if found != expected:
                raise UserError(
                    f"{path}: `{name}` has {found} along axis {axis}, and {key} is {expected}"
                )
        values: np.ndarray = file.get_tensor(name)
    if values.size and (values.min() < 0 or values.max() >= vocabulary):
        wrong = values.min() if values.min() < 0 else values.max()
        raise UserError(f"{path}: `{name}` holds the token {wrong}; its vocabulary is {vocabulary}")
    return values.astype(np.int32)


def _summary(path: str, corpus: Corpus) -> dict[str, Any]:
    heldout = {"sequences": corpus.heldout.shape[1], "tokens": int(corpus.heldout[0].size)}
    return {
        "source": "tokens",
        "from": {"file": path, "sha256": sha256_file(path)},
        "tokenizer": {"origin": None, "vocabulary": corpus.vocabulary, "end_of_text": None},
        "sequence_length": corpus.units.shape[-1],
        "warmup": {"sequences": len(corpus.warmup), "tokens": int(corpus.warmup.size)},
        "units": {
            label: corpus.unit_domains.count(label)
            for label in [*corpus.domains, MIXED]
            if label in corpus.unit_domains
        },
        "domains": {domain: {"splits": {"heldout": heldout}} for domain in corpus.domains},
    }
