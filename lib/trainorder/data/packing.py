"""Documents to disjoint splits, and a split's documents to sequences of equal length."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainorder.data.tokenizer import Tokenizer

_SHORTEST = 2  # sequences: no excerpt is cut shorter than that to bring in more documents
_BATCH = 64  # documents encoded at a time
_NEAR = 200  # characters within which an excerpt is moved to a line's end, else to a word's


class ShortfallError(Exception):
    """A split's documents hold fewer tokens than needed, or there are fewer pairs."""

    def __init__(self, needed: int, had: int) -> None:
        """Keep both counts, of tokens or of pairs."""
        super().__init__(f"{needed} needed, {had} had")
        self.needed, self.had = needed, had


@dataclass(frozen=True)
class Packed:
    """Sequences (n, length) int32, the number of documents they hold text of, and of pairs cut."""

    sequences: np.ndarray
    documents: int
    cut: int = 0


def assign(
    characters: np.ndarray, needs: Mapping[str, float], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Deal shuffled documents to splits, in proportion to what each split needs.

    The next document goes to the split with the smallest ratio of characters to need; a split
    without need gets none.

    Args:
        characters: of each document, (documents,).
        needs: tokens (or any measure of need) by split.
        rng: shuffles the documents.

    Returns:
        For each split its documents' places in `characters`, disjoint, in shuffled order.

    """
    order = rng.permutation(len(characters))
    splits = [split for split, need in needs.items() if need > 0]
    chosen: dict[str, list[int]] = {split: [] for split in needs}
    ratio = dict.fromkeys(splits, 0.0)
    for document in order if splits else []:
        split = min(splits, key=ratio.__getitem__)
        chosen[split].append(int(document))
        ratio[split] += float(characters[document]) / needs[split]
    return {split: np.array(places, dtype=np.int64) for split, places in chosen.items()}


def cap(characters: np.ndarray, total: float, floor: int) -> int:
    """Return the smallest c >= floor with `sum(min(characters, c)) >= total`, else the largest."""
    low, high = floor, max(floor, int(characters.max(initial=0)))
    while low < high:
        middle = (low + high) // 2
        if np.minimum(characters, middle).sum() >= total:
            high = middle
        else:
            low = middle + 1
    return high


def excerpt(text: str, size: int, place: float) -> str:
    """Return about `size` characters of `text`, whole words, from a place in [0, 1) of its range.

    Documents of one kind often open alike; excerpts from anywhere show more of them.
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
    """Cut excerpts of documents, joined by the end-of-text token, to sequences.

    Each document gives an excerpt of a common size, the smallest that fills the sequences when
    every document gives one, but never less than `_SHORTEST` sequences: with many documents only
    the first are used. Documents are used whole before the text is found too short.

    Args:
        read: returns the texts of documents.
        documents: their numbers, in the order they are used.
        characters: of each of `documents`.
        shape: sequences, and tokens of each.
        tokenizer: encodes the excerpts.
        rng: draws where in its document each excerpt starts.

    Raises:
        ShortfallError: the documents hold too few tokens.

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
        had = sum(map(len, pieces))
        if had >= needed:
            tokens = np.concatenate(pieces)[:needed]
            return Packed(tokens.reshape(shape).astype(np.int32), len(pieces))
        if size >= characters.max(initial=0):
            raise ShortfallError(needed, had)
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
    """Return tokens of excerpts, each with its end of text, until `needed` are there."""
    pieces: list[np.ndarray] = []
    had = 0
    for first in range(0, len(documents), _BATCH):
        batch = slice(first, first + _BATCH)
        texts = read(documents[batch].tolist())
        cut = [excerpt(text, size, place) for text, place in zip(texts, places[batch], strict=True)]
        for tokens in tokenizer.encode(cut):
            pieces.append(np.append(tokens, np.int32(tokenizer.end)))
            had += len(pieces[-1])
            if had >= needed:
                return pieces
    return pieces
