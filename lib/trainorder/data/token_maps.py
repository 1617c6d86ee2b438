"""Token memory maps: `.bin` files that contain only token numbers, one document after the other.

The file is cut into consecutive sequences: those of the warm-up, then the units of the window. The
last sequences of the file are the held-out ones. The whole file is one domain, named after it.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.data.corpus import Corpus
from trainorder.data.tokens import Labels, token_summary
from trainorder.errors import UserError

# The type of the tokens by the first of the 256 int32 before them, of which the third is their
# number: github.com/karpathy/llm.c, dev/data/data_common.py.
_SHARD_TYPES = {20240520: "uint16", 20240801: "uint32"}
_SHARD_HEADER = 1024  # bytes
_OTHER_FORMATS = {b"\x93NUMPY": "a .npy array", b"PK\x03\x04": "a zip archive, such as .npz or .pt"}
_INDEX_MAGIC = b"MMIDIDX\x00\x00"  # begins the index of a Megatron data set
_INDEX_TYPES = {1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 8: "uint16"}


def token_map_domains(config: CorpusConfig) -> list[str]:
    """Return the only domain, which has the name of the file."""
    return [Path(config.files[0]).stem]


def token_map_labels(config: CorpusConfig, window: WindowConfig) -> Labels:
    """Return the labels of the corpus."""
    domains = token_map_domains(config)
    return Labels(domains, domains * window.units, config.vocabulary)


def read_token_map(
    config: CorpusConfig, window: WindowConfig, warmup: bool
) -> tuple[Corpus, dict[str, Any]]:
    """Return the corpus of a token memory map and its summary as JSON values.

    Args:
        config: the section `corpus`; `token_dtype` is that of the file, and `vocabulary` the number
            of tokens of its tokenizer.
        window: the section `window`. The sequences of its warm-up come first in the file, also if
            an existing run trained them.
        warmup: whether the study trains the warm-up.

    Raises:
        UserError: the file is missing, too short or of another format, its index or header states
            another dtype, or a token is outside of the vocabulary.

    """
    [path] = config.files
    tokens = _tokens(path, str(config.token_dtype))
    length, heldout = config.sequence_length, config.heldout_sequences
    before = window.warmup_steps * window.sequences_per_step
    units = window.units * window.unit_size
    needed = (before + units + heldout) * length
    if len(tokens) < needed:
        raise UserError(
            f"{path}: has {len(tokens)} tokens as {config.token_dtype}, but warm-up, window and "
            f"held-out sequences need {needed}; lower window.warmup_steps, window.units or "
            "corpus.heldout_sequences"
        )
    first, last = tokens[: (before + units) * length], tokens[len(tokens) - heldout * length :]
    sequences = np.concatenate([first, last]).astype(np.int64).reshape(-1, length)
    _check_width(path, sequences[: before + units], config)
    _check_tokens(path, sequences, config)
    sequences = sequences.astype(np.int32)
    labels = token_map_labels(config, window)
    corpus = Corpus(
        domains=labels.domains,
        vocabulary=labels.vocabulary,
        warmup=sequences[: before if warmup else 0],
        units=sequences[before : before + units].reshape(window.units, window.unit_size, length),
        unit_domains=labels.unit_domains,
        heldout=sequences[before + units :][None],
    )
    return corpus, token_summary(path, corpus)


def _tokens(path: str, dtype: str) -> np.ndarray:
    """Return the tokens of a file in its dtype, without reading them into memory."""
    _check_index(path, dtype)
    try:
        size = Path(path).stat().st_size
        with open(path, "rb") as handle:
            start = handle.read(_SHARD_HEADER)
        offset = _checked_offset(path, start, size, dtype)
        if (size - offset) % np.dtype(dtype).itemsize or size <= offset:
            raise UserError(
                f"{path}: its {size - offset} bytes are not whole tokens of {dtype}; correct "
                "corpus.token_dtype"
            )
        return np.memmap(path, dtype=dtype, mode="r", offset=offset)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _checked_offset(path: str, start: bytes, size: int, dtype: str) -> int:
    """Return where the tokens begin, in bytes; check what the first bytes of a file state."""
    for first, name in _OTHER_FORMATS.items():
        if start.startswith(first):
            raise UserError(
                f"{path}: is {name}, not only token numbers; write them with numpy's tofile"
            )
    if len(start) < _SHARD_HEADER:
        return 0
    magic, _, count = struct.unpack_from("<3i", start)
    stated = _SHARD_TYPES.get(magic)
    if stated is None:
        return 0
    if stated != dtype:
        raise UserError(
            f"{path}: its header says that its tokens are {stated}; set corpus.token_dtype to "
            f"{stated} instead of {dtype}"
        )
    tokens = (size - _SHARD_HEADER) / np.dtype(dtype).itemsize
    if count != tokens:
        raise UserError(
            f"{path}: its header says that it has {count} tokens, but it has {tokens:g}; copy the "
            "file again"
        )
    return _SHARD_HEADER


def _check_index(path: str, dtype: str) -> None:
    """Compare the dtype with that of the index that Megatron writes beside the tokens."""
    index = Path(path).with_suffix(".idx")
    try:
        with open(index, "rb") as handle:
            header = handle.read(len(_INDEX_MAGIC) + 9)
    except OSError:
        return  # there is none
    if header.startswith(_INDEX_MAGIC) and len(header) == len(_INDEX_MAGIC) + 9:
        stated = _INDEX_TYPES.get(header[-1])
        if stated != dtype:
            raise UserError(
                f"{path}: {index.name} says that its tokens are {stated or 'of another type'}; set "
                f"corpus.token_dtype to {stated or 'an integer type'} instead of {dtype}"
            )


def _check_width(path: str, sequences: np.ndarray, config: CorpusConfig) -> None:
    """Raise if every second token can be the upper half of a number that is twice as wide."""
    bits = 8 * np.dtype(config.token_dtype).itemsize
    highest = (config.vocabulary - 1) >> bits
    if (sequences.ravel()[1::2] <= highest).all():
        raise UserError(
            f"{path}: every second token is {f'at most {highest}' if highest else 0} as "
            f"{config.token_dtype}, so its numbers are wider; correct corpus.token_dtype"
        )


def _check_tokens(path: str, sequences: np.ndarray, config: CorpusConfig) -> None:
    low, high = int(sequences.min()), int(sequences.max())
    if low < 0 or high >= config.vocabulary:
        raise UserError(
            f"{path}: contains token {low if low < 0 else high}, expected 0 to "
            f"{config.vocabulary - 1}; set corpus.vocabulary to the number of tokens of the "
            "tokenizer, and corpus.token_dtype to the type of the file"
        )
