"""`range finder`: factors from a random sketch of the table's range, in two passes."""

from skerch.algorithms import ssvd

from trainorder.compression.codec import Arrays, DenseTable, Estimate
from trainorder.compression.error_estimate import estimated
from trainorder.compression.factored import Factored, by_step

SEED = 2011
NOISE_COLUMNS = 64  # columns of the random matrix that are drawn at a time; bounds memory


class RangeFinder(Factored):
    """Q = orth(A W) with W Gaussian (P, r), and A ~ Q Q^T A.

    Randomized range finding (Halko, Martinsson and Tropp 2011, algorithm 4.1) without oversampling:
    all directions are kept, since each needs the same number of bytes.
    """

    name = "range finder"
    passes = 2

    def encode(self, table: DenseTable) -> Arrays:
        """Keep U S and V^T of the singular value decomposition of Q Q^T A."""
        left, singular, right = ssvd(
            table.matrix, "cpu", table.gradient.dtype, self.rank, SEED, "gaussian", "hmt",
            meas_blocksize=NOISE_COLUMNS,
        )  # fmt: skip
        return {"left": by_step(left * singular, table), "right": right}

    def estimate(self, table: DenseTable, arrays: Arrays) -> Estimate | None:
        """Estimate the error from random products on the right."""
        return estimated(table, arrays, left_probes=False)
