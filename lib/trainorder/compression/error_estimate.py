"""The error of a factored store, estimated from a few random products."""

from functools import cache

from skerch.a_posteriori import apost_error, apost_error_bounds
from skerch.linops import CompositeLinOp

from trainorder.compression.codec import Arrays, Dense, Estimate

PROBES = 32
CONFIDENCE = 0.95
SEED = 10**6  # far from the seeds of the sketches: the probes must not depend on the store


def estimated(table: Dense, arrays: Arrays, left_probes: bool) -> Estimate:
    """Return the estimate of |A - L R| / |A| (Frobenius) of a store.

    With q Gaussian probes w_i, (1 / q) sum_i |w_i^T (A - L R)|^2 is unbiased for |A - L R|^2
    (Tropp, Yurtsever, Udell and Cevher 2019, section 6), and so is the mean over (A - L R) w_i
    with probes on the other side, with which Halko, Martinsson and Tropp (2011, section 4.3)
    bound the spectral norm. Products with A can be taken in the same pass as the sketch.

    Args:
        table: A.
        arrays: `left` (T, U, r) and `right` (r, P).
        left_probes: on which side of A the probes stand.

    """
    left = arrays["left"].flatten(0, 1)
    product = CompositeLinOp((("left", left), ("right", arrays["right"])))
    (_, _, square), _ = apost_error(
        table.matrix, product, "cpu", table.gradient.dtype, probes(table), SEED,
        adj_meas=left_probes,
    )  # fmt: skip
    value, off = float(square.sqrt()) / table.norm, tolerance(probes(table))
    return Estimate(value, value / (1 + off) ** 0.5, value / max(1 - off, 1e-9) ** 0.5)


def probes(table: Dense) -> int:
    """Return the number of probes: `PROBES`, or as many as a tiny table allows."""
    rows, columns = table.matrix.shape
    return min(PROBES, rows, columns)


@cache
def tolerance(count: int) -> float:
    """Return e such that a squared estimate is within a factor 1 +- e, but for 1 - `CONFIDENCE`.

    The bounds are those of Tropp et al. 2019, section 6; e is at most 1, which means no bound.
    """
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        wrong = sum(apost_error_bounds(count, middle).values())
        low, high = (middle, high) if wrong > 1 - CONFIDENCE else (low, middle)
    return high
