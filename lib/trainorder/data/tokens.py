"""Read a corpus of tokens: the sequences that an existing run was trained on.

The corpus is one safetensors file with the integer tensors

    units (U, unit_size, L)    heldout (D, n, L)    warmup (N, L)

`warmup` is needed only if the study trains the warm-up, in this sequence. The metadata contains, as
JSON, `domains` (D names), `unit_domains` (for each unit a domain or `mixed`) and `vocabulary` (the
number of tokens of the tokenizer). Sequences are used as they are. Tensors `units_labels`,
`heldout_labels` and `warmup_labels` of the same shapes may have -100 where a token is no target.
"""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.config.unit_labels import LABELS, MIXED
from trainorder.data.corpus import Corpus
from trainorder.errors import UserError
from trainorder.recording.record.targets import check_targets
from trainorder.recording.record.tokens import IGNORED, masked_tokens
from trainorder.storage.formats import sha256_file
from trainorder.storage.safetensors_files import opened_safetensors

_TENSORS = ("units", "heldout", "warmup")
_KNOWN = (*_TENSORS, *(f"{name}_labels" for name in _TENSORS))
_INTEGERS = ("I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64")


@dataclass(frozen=True)
class Labels:
    """The metadata of a token file.

    Attributes:
        domains: D names in the sequence of `heldout`.
        unit_domains: U names, a domain or `mixed`.
        vocabulary: number of tokens; all token numbers are below it.

    """

    domains: list[str]
    unit_domains: list[str]
    vocabulary: int


def read_labels(path: str) -> Labels:
    """Return the metadata of a token file without reading its tensors.

    Raises:
        UserError: the file is missing or not safetensors, has other tensors, or its metadata is
            incomplete or invalid.

    """
    with opened_safetensors(path, "numpy") as file:
        metadata = file.metadata() or {}
        _check_names(path, file.keys())
    domains, unit_domains = (_names(path, metadata, key) for key in ("domains", "unit_domains"))
    vocabulary = _value(path, metadata, "vocabulary")
    if not isinstance(vocabulary, int) or isinstance(vocabulary, bool) or vocabulary < 2:
        raise UserError(
            f"{path}: metadata `vocabulary`: {vocabulary!r} is not a number of tokens; write the "
            "size of the tokenizer"
        )
    if len({*domains, *LABELS}) < len(domains) + len(LABELS):
        reserved = " or ".join(f"`{label}`" for label in LABELS)
        raise UserError(
            f"{path}: metadata `domains`: duplicate name, or the reserved name {reserved}; "
            "rename it"
        )
    for unit, name in enumerate(unit_domains):
        if name not in (*domains, MIXED):
            raise UserError(
                f"{path}: metadata `unit_domains`: unit {unit} has {name!r}, expected one of "
                f"{', '.join((*domains, MIXED))}"
            )
    return Labels(domains, unit_domains, vocabulary)


def _value(path: str, metadata: dict[str, str], key: str) -> Any:
    try:
        return json.loads(metadata[key])
    except KeyError:
        raise UserError(
            f"{path}: metadata `{key}`: missing; write it as docs/run.md shows"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: metadata `{key}`: not readable as JSON: {error}") from None


def _names(path: str, metadata: dict[str, str], key: str) -> list[str]:
    names = _value(path, metadata, key)
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and n for n in names):
        raise UserError(
            f"{path}: metadata `{key}`: not a list of names; write a JSON list of strings"
        )
    return names


def _check_names(path: str, names: Iterable[str]) -> None:
    """Raise `UserError` for a tensor that no study reads: it may be labels under another name."""
    for name in sorted(set(names) - {*_KNOWN}):
        close = difflib.get_close_matches(name, _KNOWN, n=1)
        raise UserError(
            f"{path}: has the tensor `{name}`, which is not read"
            f"{f' (did you mean `{close[0]}`?)' if close else ''}; rename or remove it, expected "
            f"{', '.join(_KNOWN)}"
        )


def read_tokens(
    config: CorpusConfig, window: WindowConfig, warmup: bool
) -> tuple[Corpus, dict[str, Any]]:
    """Return the corpus of a token file and its summary as JSON values.

    Args:
        config: the section `corpus` with source `tokens`.
        window: the section `window`, for the sizes.
        warmup: whether to read the warm-up sequences, which the study then trains on.

    Raises:
        UserError: the file is invalid, or its sizes differ from those of the configuration.

    """
    [path] = config.files
    labels = read_labels(path)
    if config.domains not in (None, labels.domains):
        raise UserError(
            f"{path}: its domains are {', '.join(labels.domains)}, but corpus.domains lists "
            "others; set corpus.domains to null"
        )
    if len(labels.unit_domains) != window.units:
        raise UserError(
            f"{path}: metadata `unit_domains`: {len(labels.unit_domains)} names, but window.units "
            f"is {window.units}; make them equal"
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
        name: _targets(path, name, expected, labels.vocabulary) for name, expected in sizes.items()
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
    return corpus, token_summary(path, corpus)


def _targets(path: str, name: str, sizes: list[tuple[str, int]], vocabulary: int) -> np.ndarray:
    """Return the tokens of a tensor, with those that its labels mask as context; see `Corpus`."""
    tokens, labels = _tokens(path, name, sizes, vocabulary), f"{name}_labels"
    with opened_safetensors(path, "numpy") as file:
        if labels not in set(file.keys()):
            return tokens
        values: np.ndarray = file.get_tensor(labels)
    flat = (-1, tokens.shape[-1])
    if values.shape != tokens.shape:
        raise UserError(f"{path}: `{labels}` has another shape than `{name}`; make them equal")
    masked = masked_tokens(f"{path}: `{labels}`", tokens.reshape(flat), values.reshape(flat))
    check_targets(f"{path}: `{labels}`", masked)
    return masked.reshape(tokens.shape)


def _tokens(path: str, name: str, sizes: list[tuple[str, int]], vocabulary: int) -> np.ndarray:
    """Check the dtype, sizes and token numbers of a tensor and return it as int32."""
    with opened_safetensors(path, "numpy") as file:
        if name not in set(file.keys()):
            raise UserError(f"{path}: has no tensor `{name}`; add it as docs/run.md shows")
        header = file.get_slice(name)
        kind, shape = header.get_dtype(), tuple(header.get_shape())
        if kind not in _INTEGERS:
            raise UserError(f"{path}: `{name}` has dtype {kind}; convert it to integers")
        if len(shape) != len(sizes):
            raise UserError(
                f"{path}: `{name}` has {len(shape)} axes, expected {len(sizes)}: "
                f"{', '.join(key for key, _ in sizes)}"
            )
        for axis, ((key, expected), size) in enumerate(zip(sizes, shape, strict=True)):
            if size != expected:
                raise UserError(
                    f"{path}: `{name}` has size {size} along axis {axis}, but {key} is {expected}; "
                    "make them equal"
                )
        values: np.ndarray = file.get_tensor(name)
    if values.size and (values.min() < 0 or values.max() >= vocabulary):
        wrong = values.min() if values.min() < 0 else values.max()
        raise UserError(
            f"{path}: `{name}` contains token {wrong}, expected 0 to {vocabulary - 1}; "
            + _remedy(name, int(wrong))
        )
    return values.astype(np.int32)


def _remedy(name: str, wrong: int) -> str:
    if wrong == IGNORED:
        return f"keep the token there, and write the labels as the tensor `{name}_labels`"
    return "correct the tensor or the metadata `vocabulary`"


def token_summary(path: str, corpus: Corpus) -> dict[str, Any]:
    """Return what a file of tokens contains, as JSON values."""
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
