"""The packed token sequences of a study.

This module is separate from `build`, so that jobs that read a corpus do not depend on the code that
builds it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainorder.storage.sealed_hdf5 import opened, read_arrays, write_arrays


def token_numbers(tokens: np.ndarray) -> np.ndarray:
    """Return the token numbers of `tokens` in the same shape: ~t for a context token t."""
    numbers: np.ndarray = np.maximum(tokens, ~tokens)
    return numbers


@dataclass(frozen=True)
class Corpus:
    """Packed token sequences, all int32.

    A context token is read by the model but not learnt: a token of a prompt, or padding. It is
    stored as its bitwise complement ~t, a negative number, so the mark stays with the token
    wherever sequences are cut or selected.

    Attributes:
        domains: D names.
        vocabulary: number of tokens of the tokenizer.
        warmup: (N, L) sequences of all domains in the sequence of the warm-up.
        units: (U, unit_size, L) units of the window.
        unit_domains: U labels, a domain or `mixed`.
        heldout: (D, n, L) held-out sequences by domain.

    """

    domains: list[str]
    vocabulary: int
    warmup: np.ndarray
    units: np.ndarray
    unit_domains: list[str]
    heldout: np.ndarray

    def save(self, path: str | Path, key: str) -> None:
        """Publish the corpus as a sealed file with the study key `key`."""
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
        """Return the corpus of a file.

        Args:
            path: the file.
            key: the study key that the file must have; None accepts any key.

        Raises:
            UserError: the file is missing, damaged or belongs to another study.

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
