"""An a-posteriori estimate of the error of a factored table, from a few random products."""

from functools import cache

from scipy.optimize import brentq
from skerch.a_posteriori import apost_error, apost_error_bounds
from skerch.linops import CompositeLinOp

from trainorder.compression.codec import Arrays, DenseTable, Estimate

PROBES = 32
CONFIDENCE = 0.95
SEED = 10**6  # unlike the seeds of the sketches, so that the vectors do not depend on the factors


def estimated(table: DenseTable, arrays: Arrays, left_probes: bool) -> Estimate:
    """Return the estimate of |A - L R| / |A| (Frobenius).

    With q Gaussian vectors w_i, (1 / q) sum_i |w_i^T (A - L R)|^2 is an unbiased estimate of
    |A - L R|^2 (Tropp, Yurtsever, Udell and Cevher 2019, section 6). So is the mean of
    |(A - L R) w_i|^2, with vectors on the right (compare Halko, Martinsson and Tropp 2011,
    section 4.3). The products with A can be computed in the same pass as the sketch.

    Args:
        table: A.
        arrays: `left` (T, U, r) and `right` (r, P).
        left_probes: whether the random vectors multiply A from the left.

    """
    left = arrays["left"].flatten(0, 1)
    product = CompositeLinOp((("left", left), ("right", arrays["right"])))
    (_, _, square), _ = apost_error(
        table.matrix, product, "cpu", table.gradient.dtype, probes(table), SEED,
        adj_meas=left_probes,
    )  # fmt: skip
    value, off = float(square.sqrt()) / table.norm, tolerance(probes(table))
    return Estimate(value, value / (1 + off) ** 0.5, value / max(1 - off, 1e-9) ** 0.5)


def probes(table: DenseTable) -> int:
    """Return the number of random vectors: `PROBES`, or fewer for a tiny table."""
    rows, columns = table.matrix.shape
    return min(PROBES, rows, columns)


@cache
def tolerance(count: int) -> float:
    """Return e such that a squared estimate is within a factor 1 +- e with prob. `CONFIDENCE`.

    The bounds are those of Tropp et al. 2019, section 6, for `count` random vectors. 1 means that
    they give no bound.
    """

    def excess(e: float) -> float:
        return float(sum(apost_error_bounds(count, e).values())) - (1 - CONFIDENCE)

    return 1.0 if excess(1.0) > 0 else float(brentq(excess, 0.0, 1.0, xtol=1e-15))
