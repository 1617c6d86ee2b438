"""Builds a study's corpus: warm-up sequences, units of the window, held-out sequences."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.config.sections import CorpusConfig, WindowConfig
from trainorder.data import documents as sources
from trainorder.data import packages
from trainorder.data import tokenizer as tokenizers
from trainorder.data.corpus import Corpus, unmarked
from trainorder.data.packing import Packed, ShortfallError, assign, pack
from trainorder.data.pairs import pack_pairs
from trainorder.data.tokenizer import Tokenizer
from trainorder.errors import UserError

HELDOUT, WINDOW, WARMUP = "heldout", "window", "warmup"
_TRAINING_CHARACTERS = 2000  # of tokenizer training text, for each token of the vocabulary
_LEAST_SHARE = 1 / 8  # of the largest split's documents: a small split still sees many of them
_REMEDY = {
    HELDOUT: "corpus.heldout_sequences",
    WINDOW: "window.units or window.unit_size",
    WARMUP: "window.warmup_steps",
}


@dataclass(frozen=True)
class _Plan:
    """Sequences that each domain gives to each split, and units of one domain and mixed ones."""

    domains: list[str]
    pure: dict[str, int]
    mixed: int
    needs: dict[str, dict[str, int]]


def _plan(domains: list[str], config: CorpusConfig, window: WindowConfig) -> _Plan:
    pure, mixed = unit_counts(domains, window)
    blended = _spread(mixed * window.unit_size, domains)
    warmup = _spread(window.warmup_steps * window.sequences_per_step, domains)
    needs = {
        domain: {
            HELDOUT: config.heldout_sequences,
            WINDOW: pure[domain] * window.unit_size + blended[domain],
            WARMUP: warmup[domain],
        }
        for domain in domains
    }
    return _Plan(domains, pure, mixed, needs)


def unit_counts(domains: list[str], window: WindowConfig) -> tuple[dict[str, int], int]:
    """Return how many units each domain has, and how many units are mixed."""
    mixed = int(window.mixed_fraction * window.units + 0.5) if len(domains) > 1 else 0
    return _spread(window.units - mixed, domains), mixed


def _spread(total: int, domains: Sequence[str]) -> dict[str, int]:
    """Divide evenly; the first domains take what is left over."""
    share, rest = divmod(total, len(domains))
    return {domain: share + (place < rest) for place, domain in enumerate(domains)}


def _rng(seed: int, *purpose: str) -> np.random.Generator:
    """Return a stream of its own for each purpose, so that no domain's draws move another's."""
    name = hashlib.sha256("/".join(purpose).encode()).digest()[:8]
    return np.random.default_rng([seed, int.from_bytes(name, "little")])


def build(
    config: CorpusConfig, window: WindowConfig, seed: int, archives: Mapping[str, str | Path]
) -> tuple[Corpus, Tokenizer, dict[str, Any]]:
    """Make the corpus of a study; the same arguments give the same corpus, byte for byte.

    Args:
        config: the section `corpus`.
        window: the section `window`, for the sizes.
        seed: `seeds.data`.
        archives: for source `packages`, the path of each domain's archive.

    Returns:
        The corpus, the tokenizer, and a summary that fits JSON.

    Raises:
        UserError: text that cannot be read, or too little of it.

    """
    rows = sources.documents(config, archives)
    index = sources.index(rows)
    plan = _plan(list(config.domains or index), config, window)
    for domain in plan.domains:
        if domain not in index:
            raise UserError(
                f"corpus: {domain}: holds no text that another domain does not hold too"
            )
    splits = {
        domain: _split(domain, index[domain], plan.needs[domain], config, seed)
        for domain in plan.domains
    }

    def read(numbers: Sequence[int], column: str = "text") -> list[str]:
        found = rows[list(numbers)][column] if len(numbers) else []
        return [text or "" for text in found]

    tokenizer = _tokenizer(config, splits, read)
    packed = {
        domain: {
            split: _packed(domain, split, documents, plan, config, tokenizer, read, seed)
            for split, documents in splits[domain].items()
        }
        for domain in plan.domains
    }
    units, labels = _units(plan, window, packed, seed)
    corpus = Corpus(
        domains=plan.domains,
        vocabulary=tokenizer.vocabulary,
        warmup=_warmup(plan, packed, seed),
        units=units,
        unit_domains=labels,
        heldout=np.stack([packed[domain][HELDOUT].sequences for domain in plan.domains]),
    )
    return corpus, tokenizer, _summary(corpus, tokenizer, config, splits, packed)


@dataclass(frozen=True)
class _Documents:
    """Row numbers and characters of the documents of a split, (documents,) int64 each."""

    numbers: np.ndarray
    characters: np.ndarray


def _split(
    domain: str,
    index: tuple[np.ndarray, np.ndarray],
    needs: Mapping[str, int],
    config: CorpusConfig,
    seed: int,
) -> dict[str, _Documents]:
    numbers, characters = index
    shares: dict[str, float] = dict(needs)
    if config.tokenizer is None:  # it needs text to be trained on, after no warm-up too
        shares[WARMUP] = max(needs.values())
    weights = characters
    if config.pairs:  # each fills a sequence, however long it is
        weights = np.ones_like(characters)
    else:
        least = _LEAST_SHARE * max(shares.values())
        shares = {split: max(share, least) if share else 0 for split, share in shares.items()}
    places = assign(weights, shares, _rng(seed, "splits", domain))
    return {
        split: _Documents(numbers[chosen], characters[chosen]) for split, chosen in places.items()
    }


def _tokenizer(config: CorpusConfig, splits: Mapping[str, Any], read: Any) -> Tokenizer:
    if config.tokenizer is not None:
        return tokenizers.load(config.tokenizer)
    each = _TRAINING_CHARACTERS * config.vocabulary // len(splits)
    texts: list[str] = []
    for split in splits.values():
        documents = split[WARMUP]
        before = np.cumsum(documents.characters) - documents.characters
        for column in config.columns:
            texts += read(documents.numbers[before < each].tolist(), column)
    return tokenizers.train(texts, config.vocabulary)


def _packed(
    domain: str,
    split: str,
    documents: _Documents,
    plan: _Plan,
    config: CorpusConfig,
    tokenizer: Tokenizer,
    read: Any,
    seed: int,
) -> Packed:
    shape = (plan.needs[domain][split], config.sequence_length)
    rng = _rng(seed, "excerpts", domain, split)
    try:
        if config.pairs:
            first = documents.numbers[: shape[0]].tolist()
            prompts, responses = (read(first, column) for column in config.columns)
            return pack_pairs(prompts, responses, shape, tokenizer)
        return pack(read, documents.numbers, documents.characters, shape, tokenizer, rng)
    except ShortfallError as error:
        needs = plan.needs[domain]  # text is dealt by these: the largest starves all
        keys = dict.fromkeys(_REMEDY[one] for one in (max(needs, key=needs.__getitem__), split))
        where = f"corpus: {domain}: split `{split}` needs {error.needed}"
        lower = f"lower {' or '.join(keys)}"
        if config.pairs:
            raise UserError(f"{where} pairs and has {error.had}; {lower}, or add pairs") from None
        raise UserError(
            f"{where} tokens and has {error.had} (documents: {len(documents.numbers)}); "
            f"{lower} or corpus.sequence_length, or add text"
        ) from None


def _units(
    plan: _Plan, window: WindowConfig, packed: Mapping[str, Mapping[str, Packed]], seed: int
) -> tuple[np.ndarray, list[str]]:
    """Cut each domain's window to units, deal the rest in turn to mixed ones; shuffle all."""
    size = window.unit_size
    units: list[np.ndarray] = []
    labels: list[str] = []
    rest: dict[str, np.ndarray] = {}
    for domain in plan.domains:
        sequences = packed[domain][WINDOW].sequences
        cut = plan.pure[domain] * size
        units += [sequences[start : start + size] for start in range(0, cut, size)]
        labels += [domain] * plan.pure[domain]
        rest[domain] = sequences[cut:]
    turns = [
        rest[plan.domains[turn % len(plan.domains)]][turn // len(plan.domains)]
        for turn in range(plan.mixed * size)
    ]
    units += [np.stack(turns[start : start + size]) for start in range(0, len(turns), size)]
    labels += [sources.MIXED] * plan.mixed
    order = _rng(seed, "units").permutation(len(units))
    return np.stack([units[i] for i in order]), [labels[i] for i in order]


def _warmup(plan: _Plan, packed: Mapping[str, Mapping[str, Packed]], seed: int) -> np.ndarray:
    sequences = np.concatenate([packed[domain][WARMUP].sequences for domain in plan.domains])
    return sequences[_rng(seed, "warmup").permutation(len(sequences))]


def _summary(
    corpus: Corpus,
    tokenizer: Tokenizer,
    config: CorpusConfig,
    splits: Mapping[str, Mapping[str, _Documents]],
    packed: Mapping[str, Mapping[str, Packed]],
) -> dict[str, Any]:
    domains = {}
    for place, domain in enumerate(corpus.domains):
        domains[domain] = {
            **_origin(domain, config),
            "splits": {
                split: {
                    "documents": len(documents.numbers),
                    "documents_used": packed[domain][split].documents,
                    "sequences": len(packed[domain][split].sequences),
                    "tokens": int(packed[domain][split].sequences.size),
                    **(_of_pairs(packed[domain][split]) if config.pairs else {}),
                }
                for split, documents in splits[domain].items()
            },
            "heldout_characters_per_token": _density(corpus.heldout[place], tokenizer),
        }
    return {
        "source": config.source,
        "tokenizer": {
            "origin": config.tokenizer or "trained on warm-up documents",
            "vocabulary": tokenizer.vocabulary,
            "end_of_text": tokenizer.end,
        },
        "sequence_length": config.sequence_length,
        "units": {
            label: corpus.unit_domains.count(label)
            for label in [*corpus.domains, sources.MIXED]
            if label in corpus.unit_domains
        },
        "domains": domains,
    }


def _of_pairs(packed: Packed) -> dict[str, int]:
    return {"learnt_tokens": int((packed.sequences >= 0).sum()), "pairs_cut": packed.cut}


def _origin(domain: str, config: CorpusConfig) -> dict[str, Any]:
    if config.source != "packages":
        hub = asdict(config.hub) if config.hub is not None else {}
        return {"from": hub if config.source == "hub" else _files_of(domain, config)}
    (package,) = packages.select([domain])
    return {
        "from": {"package": package.name, "version": package.version, "sha256": package.sha256},
        "licence": package.licence,
    }


def _files_of(domain: str, config: CorpusConfig) -> list[str]:
    """Return the files that may hold text of a domain: a .txt file's name is its domain."""
    return [
        name for name in config.files if Path(name).suffix != ".txt" or Path(name).stem == domain
    ]


def _density(sequences: np.ndarray, tokenizer: Tokenizer) -> float:
    """Characters of the text over its tokens, prompts among them, ends of text not counted."""
    tokens = unmarked(sequences)
    tokens = tokens[tokens != tokenizer.end]
    return round(len(tokenizer.decode(tokens.tolist())) / max(1, len(tokens)), 4)
