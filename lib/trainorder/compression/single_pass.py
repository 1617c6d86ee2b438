"""`single pass`: factors from three sketches, taken while the table passes by once."""

from functools import lru_cache

from skerch.algorithms import ssvd

from trainorder.compression.codec import Arrays, Dense, Estimate
from trainorder.compression.error_estimate import estimated
from trainorder.compression.low_rank_codec import Factored, by_step
from trainorder.compression.range_finder import NOISE_COLUMNS

SEED = 2019


class SinglePass(Factored):
    """X = Y A, Z = A W^T and a core F A V^T, from which A ~ Q C P^T, cut to rank r.

    Tropp, Yurtsever, Udell and Cevher 2019 (sections 2 and 4), at the sizes that they advise:
    k = 2 r + 1 rows of X and columns of Z, s = 2 k + 1 of the core. All three are linear in A, so
    they can be added up row by row as gradients are computed, and the table need never exist.
    """

    name = "single pass"

    def encode(self, table: Dense) -> Arrays:
        """Keep U S and V^T, the leading r of them."""
        return sketched(table, self.rank)

    def streaming_bytes(self, arrays: Arrays) -> int | None:
        """Return the bytes of the three sketches, larger than the factors made of them."""
        outer, core = sketch_sizes(self.rank)
        left = arrays["left"]
        rows = left.shape[0] * left.shape[1]
        return (outer * (rows + arrays["right"].shape[1]) + core**2) * left.element_size()

    def estimate(self, table: Dense, arrays: Arrays) -> Estimate | None:
        """Estimate the error from random products on the left."""
        return estimated(table, arrays, left_probes=True)


def sketch_sizes(rank: int) -> tuple[int, int]:
    """Return k and s for a rank."""
    outer = 2 * rank + 1
    return outer, 2 * outer + 1


@lru_cache(maxsize=1)
def sketched(table: Dense, rank: int) -> Arrays:
    """Return the factors; the last are held, since they are kept in full and as bytes."""
    outer, core = sketch_sizes(rank)
    left, singular, right = ssvd(
        table.matrix, "cpu", table.gradient.dtype, outer, SEED, "gaussian",
        f"oversampled_{core}", meas_blocksize=NOISE_COLUMNS,
    )  # fmt: skip
    return {
        "left": by_step(left[:, :rank] * singular[:rank], table),
        "right": right[:rank].clone(),
    }
