"""A study's packed token sequences.

Apart from `build`, so that what only reads a corpus does not depend on how one is made.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainorder.storage.sealed_hdf5 import opened, read_arrays, write_arrays

MIXED = "mixed"  # the label of units that mix domains; no domain may have this name


def unmarked(tokens: np.ndarray) -> np.ndarray:
    """Return the tokens themselves, given ones (see `Corpus`) among them, in the same shape."""
    found: np.ndarray = np.maximum(tokens, ~tokens)
    return found


@dataclass(frozen=True)
class Corpus:
    """Packed token sequences, all int32.

    A token that is given and not learnt (a prompt, padding) is kept as its bitwise complement, a
    negative number. So the mark stays with the token wherever sequences are taken apart.

    Attributes:
        domains: names, in the order of `heldout`.
        vocabulary: size of the tokenizer.
        warmup: (N, L), domains mixed, in the order of the warm-up.
        units: (U, unit_size, L).
        unit_domains: U labels, a domain or `mixed`.
        heldout: (D, n, L).

    """

    domains: list[str]
    vocabulary: int
    warmup: np.ndarray
    units: np.ndarray
    unit_domains: list[str]
    heldout: np.ndarray

    def save(self, path: str | Path, key: str) -> None:
        """Publish the corpus as a sealed file of study `key`."""
        arrays = {
            "domains": self.domains,
            "warmup": self.warmup,
            "units": self.units,
            "unit_domains": self.unit_domains,
            "heldout": self.heldout,
        }
        write_arrays(path, key, arrays, vocabulary=self.vocabulary)

    @classmethod
    def load(cls, path: str | Path, key: str | None) -> "Corpus":
        """Read a corpus; `key` None takes any study's.

        Raises:
            UserError: missing, damaged, or of another study.

        """
        with opened(path, key, "corpus") as file:
            vocabulary = int(file.attribute("vocabulary"))
        names = ("domains", "warmup", "units", "unit_domains", "heldout")
        arrays = read_arrays(path, key, "corpus", names)
        return cls(
            domains=list(arrays["domains"]),
            vocabulary=vocabulary,
            warmup=arrays["warmup"],
            units=arrays["units"],
            unit_domains=list(arrays["unit_domains"]),
            heldout=arrays["heldout"],
        )
