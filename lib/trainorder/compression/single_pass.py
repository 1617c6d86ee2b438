"""`single pass`: factors from three sketches, computed in one pass over the table."""

from functools import lru_cache

from skerch.algorithms import ssvd

from trainorder.compression.codec import Arrays, DenseTable, Estimate
from trainorder.compression.error_estimate import estimated
from trainorder.compression.factored import Factored, by_step
from trainorder.compression.range_finder import NOISE_COLUMNS

SEED = 2019


class SinglePass(Factored):
    """X = Y A, Z = A W^T and a core F A V^T, from which A ~ Q C P^T, cut to rank r.

    Tropp, Yurtsever, Udell and Cevher 2019 (sections 2 and 4), with their recommended sizes:
    k = 2 r + 1 rows of X and columns of Z, s = 2 k + 1 for the core. The sketches are linear in A,
    so that they can be accumulated while gradients are computed, without storing the table.
    """

    name = "single pass"

    def encode(self, table: DenseTable) -> Arrays:
        """Keep the leading r columns of U S and rows of V^T."""
        return sketched(table, self.rank)

    def streaming_bytes(self, arrays: Arrays) -> int | None:
        """Return the bytes of the three sketches, which are larger than the final factors."""
        outer, core = sketch_sizes(self.rank)
        left = arrays["left"]
        rows = left.shape[0] * left.shape[1]
        return (outer * (rows + arrays["right"].shape[1]) + core**2) * left.element_size()

    def estimate(self, table: DenseTable, arrays: Arrays) -> Estimate | None:
        """Estimate the error from random products on the left."""
        return estimated(table, arrays, left_probes=True)


def sketch_sizes(rank: int) -> tuple[int, int]:
    """Return the sizes k and s of the sketches for a rank."""
    outer = 2 * rank + 1
    return outer, 2 * outer + 1


@lru_cache(maxsize=1)
def sketched(table: DenseTable, rank: int) -> Arrays:
    """Return the factors; the last ones are cached, since two codecs use them."""
    outer, core = sketch_sizes(rank)
    left, singular, right = ssvd(
        table.matrix, "cpu", table.gradient.dtype, outer, SEED, "gaussian",
        f"oversampled_{core}", meas_blocksize=NOISE_COLUMNS,
    )  # fmt: skip
    return {
        "left": by_step(left[:, :rank] * singular[:rank], table),
        "right": right[:rank].clone(),
    }
