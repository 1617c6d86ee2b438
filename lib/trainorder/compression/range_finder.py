"""`range finder`: factors from a random sketch of the table's columns, in two passes."""

from skerch.algorithms import ssvd

from trainorder.compression.codec import Arrays, Dense, Estimate
from trainorder.compression.error_estimate import estimated
from trainorder.compression.low_rank_codec import Factored, by_step

SEED = 2011
NOISE_COLUMNS = 64  # columns of the random matrix drawn at a time; bounds memory


class RangeFinder(Factored):
    """Q = orth(A W) with W Gaussian (P, r), and A ~ Q Q^T A.

    Randomized range finding, Halko, Martinsson and Tropp 2011, algorithm 4.1, without
    oversampling: every direction that is found is kept, since each costs the same bytes.
    """

    name = "range finder"
    passes = 2

    def encode(self, table: Dense) -> Arrays:
        """Keep U S and V^T of Q Q^T A."""
        left, singular, right = ssvd(
            table.matrix, "cpu", table.gradient.dtype, self.rank, SEED, "gaussian", "hmt",
            meas_blocksize=NOISE_COLUMNS,
        )  # fmt: skip
        return {"left": by_step(left * singular, table), "right": right}

    def estimate(self, table: Dense, arrays: Arrays) -> Estimate | None:
        """Estimate the error from random products on the right."""
        return estimated(table, arrays, left_probes=False)
