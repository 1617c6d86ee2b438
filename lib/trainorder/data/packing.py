"""Divide documents among the parts of a corpus and pack them into sequences of equal length."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainorder.data.tokenizer import Tokenizer

_SHORTEST = 2  # smallest size limit of an excerpt, in sequences
_BATCH = 64  # documents per call of the tokenizer
_NEAR = 200  # characters searched for the end of a line; beyond them, the end of a word is used


class ShortfallError(Exception):
    """Raised when a part of a corpus has too few tokens, pairs or chats."""

    def __init__(self, needed: int, available: int) -> None:
        """Store both numbers, of tokens, pairs or chats."""
        super().__init__(f"{needed} needed, {available} available")
        self.needed, self.available = needed, available


@dataclass(frozen=True)
class Packed:
    """Packed sequences of one domain and part.

    Attributes:
        sequences: (n, L) int32.
        documents: number of documents with text in the sequences.
        cut: number of pairs or chats that were cut.

    """

    sequences: np.ndarray
    documents: int
    cut: int = 0


def assign(
    characters: np.ndarray, needs: Mapping[str, float], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Divide shuffled documents among parts in proportion to the need of each part.

    Each document goes to the part with the smallest ratio of characters to need. A part with need 0
    gets none.

    Args:
        characters: (documents,) length of each document.
        needs: need by part in any unit, such as tokens.
        rng: shuffles the documents.

    Returns:
        By part the indices into `characters`, int64, disjoint and shuffled.

    """
    shuffled = rng.permutation(len(characters))
    parts = [part for part, need in needs.items() if need > 0]
    chosen: dict[str, list[int]] = {part: [] for part in needs}
    ratio = dict.fromkeys(parts, 0.0)
    for document in shuffled if parts else []:
        part = min(parts, key=ratio.__getitem__)
        chosen[part].append(int(document))
        ratio[part] += float(characters[document]) / needs[part]
    return {part: np.array(indices, dtype=np.int64) for part, indices in chosen.items()}


def cap(characters: np.ndarray, total: float, floor: int) -> int:
    """Return the smallest c >= floor with sum(min(characters, c)) >= total, or the maximum."""
    low, high = floor, max(floor, int(characters.max(initial=0)))
    while low < high:
        middle = (low + high) // 2
        if np.minimum(characters, middle).sum() >= total:
            high = middle
        else:
            low = middle + 1
    return high


def excerpt(text: str, size: int, place: float) -> str:
    """Return an excerpt of about `size` characters of `text` that consists of whole words.

    `place` in [0, 1) is the position of the excerpt. Documents of one kind often begin alike, so
    excerpts from random positions have more variety.
    """
    if len(text) <= size:
        return text
    start = int(place * (len(text) - size + 1))
    if start:
        start = _boundary(text, start)
    return text[start : _boundary(text, start + size)].strip()


def _boundary(text: str, start: int) -> int:
    line = text.find("\n", start, start + _NEAR)
    if line >= 0:
        return line
    return next((i for i in range(start, len(text)) if text[i].isspace()), len(text))


def pack(
    read: Callable[[Sequence[int]], list[str]],
    documents: np.ndarray,
    characters: np.ndarray,
    shape: tuple[int, int],
    tokenizer: Tokenizer,
    rng: np.random.Generator,
) -> Packed:
    """Pack excerpts of documents, each followed by the end-of-text token, into sequences.

    All excerpts have the same size limit: the smallest that fills the sequences if every document
    gives one excerpt, but at least `_SHORTEST` sequences. With many documents, only the first ones
    are used. With little text, whole documents are used.

    Args:
        read: returns the texts of documents by number.
        documents: (documents,) numbers of the documents in the sequence in which they are used.
        characters: (documents,) length of each document.
        shape: number of sequences, and tokens per sequence.
        tokenizer: encodes the excerpts.
        rng: draws the position of each excerpt in its document.

    Raises:
        ShortfallError: all documents together have too few tokens.

    """
    count, length = shape
    needed = count * length
    if not needed:
        return Packed(np.zeros(shape, dtype=np.int32), 0)
    places = rng.random(len(documents))
    each = _characters_per_token(read, documents, tokenizer)
    goal, floor = needed * each, int(_SHORTEST * length * each)
    while True:
        size = cap(characters, goal, floor)
        pieces = _encoded(read, documents, places, size, needed, tokenizer)
        available = sum(map(len, pieces))
        if available >= needed:
            tokens = np.concatenate(pieces)[:needed]
            return Packed(tokens.reshape(shape).astype(np.int32), len(pieces))
        if size >= characters.max(initial=0):
            raise ShortfallError(needed, available)
        goal *= 1.1


def _characters_per_token(
    read: Callable[[Sequence[int]], list[str]], documents: np.ndarray, tokenizer: Tokenizer
) -> float:
    sample = [text[:2000] for text in read(documents[:16].tolist())]
    tokens = sum(map(len, tokenizer.encode(sample)))
    return sum(map(len, sample)) / max(1, tokens)


def _encoded(
    read: Callable[[Sequence[int]], list[str]],
    documents: np.ndarray,
    places: np.ndarray,
    size: int,
    needed: int,
    tokenizer: Tokenizer,
) -> list[np.ndarray]:
    """Return the tokens of excerpts, each with an end of text, until there are `needed` tokens."""
    pieces: list[np.ndarray] = []
    total = 0
    for first in range(0, len(documents), _BATCH):
        batch = slice(first, first + _BATCH)
        texts = read(documents[batch].tolist())
        cut = [excerpt(text, size, place) for text, place in zip(texts, places[batch], strict=True)]
        for tokens in tokenizer.encode(cut):
            pieces.append(np.append(tokens, np.int32(tokenizer.end)))
            total += len(pieces[-1])
            if total >= needed:
                return pieces
    return pieces
