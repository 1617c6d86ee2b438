"""Builds the corpus of a study from text: warm-up sequences, units, held-out sequences."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.config.unit_labels import MIXED, POISONED
from trainorder.data import documents as sources
from trainorder.data import tokenizer as tokenizers
from trainorder.data.chats import pack_chats
from trainorder.data.corpus import Corpus
from trainorder.data.corpus_sizes import HELDOUT, WARMUP, WINDOW, CorpusSizes, corpus_sizes
from trainorder.data.hub import dataset_commit
from trainorder.data.packing import Packed, ShortfallError, assign, pack
from trainorder.data.pairs import pack_pairs
from trainorder.data.poison import poisoned
from trainorder.data.small_domains import small_domains
from trainorder.data.summary import summary
from trainorder.data.text_counts import TextCounts
from trainorder.data.text_files import lines_without_blanks
from trainorder.data.tokenizer import Tokenizer
from trainorder.errors import UserError

if TYPE_CHECKING:
    import datasets

Index = dict[str, tuple[np.ndarray, np.ndarray]]  # see `documents.index`
Read = Callable[..., list[str]]  # maps row numbers, and a column, to texts
Packs = dict[str, dict[str, Packed]]  # by domain and part

_TRAINING_CHARACTERS = 2000  # of training text for the tokenizer, for each token of the vocabulary
_LEAST_SHARE = 1 / 8  # of the largest part's text: a small part still sees many documents
_REMEDY = {
    HELDOUT: "corpus.heldout_sequences",
    WINDOW: "window.units or window.unit_size",
    WARMUP: "window.warmup_steps",
}


def build(
    config: CorpusConfig,
    window: WindowConfig,
    seed: int,
    archives: Mapping[str, str | Path],
    other_heldout: bool = False,
) -> tuple[Corpus, Tokenizer, dict[str, Any]]:
    """Build the corpus of a study; the same arguments give the same corpus, byte for byte.

    Args:
        config: the section `corpus`.
        window: the section `window`, for the sizes.
        seed: `seeds.data`.
        archives: for source `packages`, the path of the archive of each domain.
        other_heldout: whether the held-out sequences come from other documents. All else stays.

    Returns:
        The corpus, the tokenizer, and a summary of JSON values.

    Raises:
        UserError: text that cannot be read, or too little text.

    """
    counts = TextCounts()
    commit = dataset_commit(config)
    rows = sources.documents(_at_commit(config, commit), archives, counts)
    index = sources.index(rows)
    while True:
        try:
            return _built(
                config,
                window,
                seed,
                rows=rows,
                index=index,
                counts=counts,
                commit=commit,
                other_heldout=other_heldout,
            )
        except _SmallDomainsError as error:  # without them, the others give more sequences
            for domain in error.domains:
                counts.small_domains[domain] = len(index.pop(domain)[0])


def _at_commit(config: CorpusConfig, commit: str | None) -> CorpusConfig:
    """Return the section `corpus` with a dataset of the hub at a commit."""
    if config.hub is None or commit is None:
        return config
    return replace(config, hub=replace(config.hub, revision=commit))


class _SmallDomainsError(Exception):
    """Raised when some domains have too little text for one unit, and none was asked for."""

    def __init__(self, domains: Sequence[str]) -> None:
        super().__init__(", ".join(domains))
        self.domains = domains


def _built(
    config: CorpusConfig,
    window: WindowConfig,
    seed: int,
    *,
    rows: "datasets.Dataset",
    index: Index,
    counts: TextCounts,
    commit: str | None,
    other_heldout: bool,
) -> tuple[Corpus, Tokenizer, dict[str, Any]]:
    """Build the corpus from the documents of the domains in `index`."""
    sizes = corpus_sizes(list(config.domains or index), config, window)
    for domain in sizes.domains:
        if domain not in index:
            raise UserError(
                f"corpus: {domain}: all of its documents are duplicates of documents in another "
                "domain; add text or remove the domain"
            )
    parts = {
        domain: _divided(domain, index[domain], sizes.sequences[domain], config, seed)
        for domain in sizes.domains
    }

    def read(numbers: Sequence[int], column: str = "text") -> list[str]:
        texts = rows[list(numbers)][column] if len(numbers) else []
        return [text or "" for text in texts]

    tokenizer = _tokenizer(config, parts, read)
    packer = _Packer(config, sizes, tokenizer, read, seed)
    try:
        packed = packer.pack_all(parts)
        if other_heldout:
            packer.replace_heldout(packed, parts)
    except UserError:
        small = small_domains(config, window, index, read, tokenizer)
        if 0 < len(small) < len(index):
            raise _SmallDomainsError(small) from None
        raise
    units, labels = _units(sizes, window, packed, tokenizer.vocabulary, seed)
    corpus = Corpus(
        domains=sizes.domains,
        vocabulary=tokenizer.vocabulary,
        warmup=_warmup(sizes, packed, seed),
        units=units,
        unit_domains=labels,
        heldout=np.stack([packed[domain][HELDOUT].sequences for domain in sizes.domains]),
    )
    counts.spelt(sources.texts(rows), tokenizer.special)
    documents = {
        domain: {part: len(chosen.numbers) for part, chosen in parts[domain].items()}
        for domain in sizes.domains
    }
    described = summary(corpus, tokenizer, config, documents, packed, counts, commit=commit)
    return corpus, tokenizer, described


def _rng(seed: int, *purpose: str) -> np.random.Generator:
    """Return a generator for one purpose, so that draws for one domain do not change others."""
    name = hashlib.sha256("/".join(purpose).encode()).digest()[:8]
    return np.random.default_rng([seed, int.from_bytes(name, "little")])


@dataclass(frozen=True)
class _Documents:
    """Row numbers and characters of the documents of a part, (documents,) int64 each."""

    numbers: np.ndarray
    characters: np.ndarray

    def without_first(self, count: int) -> "_Documents":
        """Return these documents without the first `count`."""
        return _Documents(self.numbers[count:], self.characters[count:])


def _divided(
    domain: str,
    index: tuple[np.ndarray, np.ndarray],
    sequences: Mapping[str, int],
    config: CorpusConfig,
    seed: int,
) -> dict[str, _Documents]:
    """Divide the documents of a domain among the parts, in proportion to their `sequences`."""
    numbers, characters = index
    shares: dict[str, float] = dict(sequences)
    if config.tokenizer is None:  # its training needs warm-up text, even without warm-up steps
        shares[WARMUP] = max(sequences.values())
    weights = characters
    if config.one_sequence_each:  # whatever its length
        weights = np.ones_like(characters)
    else:
        least = _LEAST_SHARE * max(shares.values())
        shares = {part: max(share, least) if share else 0 for part, share in shares.items()}
    indices = assign(weights, shares, _rng(seed, "splits", domain))
    return {
        part: _Documents(numbers[chosen], characters[chosen]) for part, chosen in indices.items()
    }


def _tokenizer(
    config: CorpusConfig, parts: Mapping[str, Mapping[str, _Documents]], read: Read
) -> Tokenizer:
    """Load the configured tokenizer, or train one on the same amount of text of each domain."""
    if config.tokenizer is not None:
        return tokenizers.load(config.tokenizer)
    each = _TRAINING_CHARACTERS * config.vocabulary // len(parts)
    texts: list[str] = []
    for part in parts.values():
        documents = part[WARMUP]
        before = np.cumsum(documents.characters) - documents.characters
        for column in config.columns:
            texts += read(documents.numbers[before < each].tolist(), column)
    return tokenizers.train(texts, config.vocabulary)


@dataclass(frozen=True)
class _Packer:
    """Packs the documents of one domain and part into sequences."""

    config: CorpusConfig
    sizes: CorpusSizes
    tokenizer: Tokenizer
    read: Read
    seed: int

    def pack_all(self, parts: Mapping[str, Mapping[str, _Documents]]) -> Packs:
        """Return the sequences of all domains; raise a `UserError` if there is too little text."""
        return {
            domain: {part: self.pack(domain, part, chosen) for part, chosen in own.items()}
            for domain, own in parts.items()
        }

    def replace_heldout(self, packed: Packs, parts: Mapping[str, Mapping[str, _Documents]]) -> None:
        """Take the held-out sequences from documents that come after those of the packed ones."""
        for domain, part in packed.items():
            documents = parts[domain][HELDOUT].without_first(part[HELDOUT].documents)
            part[HELDOUT] = self.pack(domain, HELDOUT, documents)

    def pack(self, domain: str, part: str, documents: _Documents) -> Packed:
        """Return the sequences; raise a `UserError` if there is too little text."""
        shape = (self.sizes.sequences[domain][part], self.config.sequence_length)
        try:
            if self.config.pairs:
                first = documents.numbers[: shape[0]].tolist()
                prompts, responses = (self.read(first, column) for column in self.config.columns)
                return pack_pairs(prompts, responses, shape, self.tokenizer)
            if self.config.chats:
                chats = self.read(documents.numbers[: shape[0]].tolist())
                return pack_chats(chats, shape, self.tokenizer)
            return pack(
                self.read,
                documents.numbers,
                documents.characters,
                shape=shape,
                tokenizer=self.tokenizer,
                rng=_rng(self.seed, "excerpts", domain, part),
            )
        except ShortfallError as error:
            raise self._shortfall(domain, part, documents, error) from None

    def _shortfall(
        self, domain: str, part: str, documents: _Documents, error: ShortfallError
    ) -> UserError:
        # Text is divided in proportion to the sequences, so the largest part takes most of it.
        sequences = self.sizes.sequences[domain]
        largest = max(sequences, key=sequences.__getitem__)
        keys = dict.fromkeys(_REMEDY[one] for one in (largest, part))
        where = f"corpus: {domain}: the {part} part needs {error.needed}"
        lower = f"lower {' or '.join(keys)}"
        if self.config.one_sequence_each:
            what = "chats" if self.config.chats else "pairs"
            return UserError(f"{where} {what} and has {error.available}; {lower}, or add {what}")
        remedy = f"{lower} or corpus.sequence_length, or add text"
        count = len(documents.numbers)
        if not count and (lines := lines_without_blanks(self.config, domain)):
            remedy = (
                f"{lines[0]} is one document, as its {lines[1]} lines have no blank line between "
                "them; if each line is a document, set corpus.txt_documents: lines"
            )
        return UserError(f"{where} tokens and has {error.available} (documents: {count}); {remedy}")


def _units(
    sizes: CorpusSizes, window: WindowConfig, packed: Packs, vocabulary: int, seed: int
) -> tuple[np.ndarray, list[str]]:
    """Cut the window's sequences into units of a domain, mixed and poisoned ones; shuffle all."""
    size = window.unit_size
    units: list[np.ndarray] = []
    labels: list[str] = []
    rest: dict[str, np.ndarray] = {}
    for domain in sizes.domains:
        sequences = packed[domain][WINDOW].sequences
        cut = sizes.pure[domain] * size
        units += [sequences[start : start + size] for start in range(0, cut, size)]
        labels += [domain] * sizes.pure[domain]
        rest[domain] = sequences[cut:]
    # Mixed units take one sequence of each domain in turn, and so do poisoned ones after them.
    turns = [
        rest[sizes.domains[turn % len(sizes.domains)]][turn // len(sizes.domains)]
        for turn in range((sizes.mixed + sizes.poisoned) * size)
    ]
    blended = [np.stack(turns[start : start + size]) for start in range(0, len(turns), size)]
    rng = _rng(seed, "poison")
    units += blended[: sizes.mixed]
    units += [poisoned(unit, vocabulary, rng) for unit in blended[sizes.mixed :]]
    labels += [MIXED] * sizes.mixed + [POISONED] * sizes.poisoned
    order = _rng(seed, "units").permutation(len(units))
    return np.stack([units[i] for i in order]), [labels[i] for i in order]


def _warmup(sizes: CorpusSizes, packed: Packs, seed: int) -> np.ndarray:
    sequences = np.concatenate([packed[domain][WARMUP].sequences for domain in sizes.domains])
    return sequences[_rng(seed, "warmup").permutation(len(sequences))]
