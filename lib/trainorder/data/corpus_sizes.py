"""How many sequences each domain gives to each part of a corpus: held-out, window and warm-up."""

from collections.abc import Sequence
from dataclasses import dataclass

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.window import WindowConfig

HELDOUT, WINDOW, WARMUP = "heldout", "window", "warmup"


@dataclass(frozen=True)
class CorpusSizes:
    """Units and sequences of a corpus.

    Attributes:
        domains: names.
        pure: units of each domain.
        mixed: units that mix domains.
        poisoned: units whose text is poisoned; it comes from all domains, like that of mixed ones.
        sequences: by domain and part, the sequences that the domain gives to the part.

    """

    domains: list[str]
    pure: dict[str, int]
    mixed: int
    poisoned: int
    sequences: dict[str, dict[str, int]]


def corpus_sizes(domains: list[str], config: CorpusConfig, window: WindowConfig) -> CorpusSizes:
    """Return the sizes of a corpus; every part is divided evenly among the domains."""
    pure, mixed = unit_counts(domains, window)
    blended = _spread((mixed + window.poisoned) * window.unit_size, domains)
    warmup = _spread(window.warmup_steps * window.sequences_per_step, domains)
    sequences = {
        domain: {
            HELDOUT: config.heldout_sequences,
            WINDOW: pure[domain] * window.unit_size + blended[domain],
            WARMUP: warmup[domain],
        }
        for domain in domains
    }
    return CorpusSizes(domains, pure, mixed, window.poisoned, sequences)


def unit_counts(domains: list[str], window: WindowConfig) -> tuple[dict[str, int], int]:
    """Return the number of units of each domain, and the number of mixed units."""
    mixed = int(window.mixed_fraction * window.units + 0.5) if len(domains) > 1 else 0
    return _spread(window.units - mixed - window.poisoned, domains), mixed


def _spread(total: int, domains: Sequence[str]) -> dict[str, int]:
    """Divide evenly; the first domains take the remainder."""
    share, rest = divmod(total, len(domains))
    return {domain: share + (place < rest) for place, domain in enumerate(domains)}
