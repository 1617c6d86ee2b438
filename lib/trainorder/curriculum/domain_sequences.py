"""Whole domains one after the other: which domain is last."""

from collections.abc import Sequence

import numpy as np


def domain_sequences(domains: Sequence[str], reference: np.ndarray) -> dict[str, np.ndarray]:
    """Return units (U,) of whole domains in sequence, by the name `last-<domain>`.

    The domains are rotated: those after the last one in sorted order are first. The last domain in
    sorted order has no sequence here, because `domain-sorted` is a structured order of every study.

    Args:
        domains: domain of each of the U units.
        reference: (U,) units, the sequence inside each domain.

    """
    names = sorted(set(domains))
    label = np.array([names.index(domain) for domain in domains])[reference]
    return {
        f"last-{name}": reference[np.argsort((label - last - 1) % len(names), kind="stable")]
        for last, name in enumerate(names[:-1])
    }
