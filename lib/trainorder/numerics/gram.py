"""Eigendecompositions of small Gram matrices of long vectors.

The n principal directions of n vectors of P parameters, n much smaller than P, follow from the
eigendecomposition of their Gram matrix (n, n). Every function here decomposes in float64, whatever
the dtype of the vectors.
"""

import torch
from torch import Tensor

from trainorder.numerics.rows import Rows, blocks

_RANK_TOLERANCE = 1e-3  # smaller eigenvalues, relative to the largest, are treated as noise


def eigenvalues_and_vectors(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvalues (n,), ascending, and the eigenvectors (n, n) as columns, in float64.

    Args:
        gram: (n, n), symmetric; only its lower triangle is read.

    """
    values, vectors = torch.linalg.eigh(gram.double())
    return values, vectors


def pseudo_inverse(matrix: Tensor) -> Tensor:
    """Return the pseudo-inverse of the positive part of the symmetric part of `matrix` (r, r).

    Eigenvalues that are negative or too small contribute 0 to the result.
    """
    square = matrix.double()
    values, vectors = eigenvalues_and_vectors((square + square.T) / 2)
    kept = values > _RANK_TOLERANCE * values.max()
    vectors = vectors[:, kept]
    inverse: Tensor = ((vectors / values[kept]) @ vectors.T).to(matrix.dtype)
    return inverse


def principal(rows: Rows, metric: Tensor, count: int) -> Rows:
    """Return up to `count` principal directions (n, P) of `rows` (m, P).

    They are orthogonal and of unit length in the norm |metric * x|, strongest first.

    Args:
        rows: (m, P).
        metric: (P,).
        count: maximum of n; n is smaller if the rows span fewer dimensions.

    """
    squared = metric.square()
    values, vectors = eigenvalues_and_vectors(rows.gram(weight=squared))
    kept = values > 1e-10 * values.max()
    leading = vectors[:, kept].flip(1)[:, :count].to(rows.dtype)
    directions = rows.combine(leading.T)
    return directions.scale(directions.squared_norms(squared).rsqrt())


def orthonormal_basis(rows: Rows) -> Rows:
    """Return an orthonormal basis (m, P) of the span of `rows` (n, P), principal directions first.

    The Gram matrix is summed in float64. For float32 rows this is as exact as a singular value
    decomposition of the rows, and many times faster.
    """
    exact = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    for (block,) in blocks(rows):
        doubled = block.double()
        exact += doubled @ doubled.T
    values, vectors = eigenvalues_and_vectors(exact)
    floor = (len(rows) * torch.finfo(rows.dtype).eps) ** 2  # relative energy of rounding noise
    kept = values > values[-1] * max(floor, len(rows) * torch.finfo(exact.dtype).eps)
    weights = (vectors[:, kept] / values[kept].sqrt()).T.flip(0)
    basis = Rows.empty(len(weights), rows.size, dtype=rows.dtype)
    return basis.fill(lambda block: weights @ block.double(), rows, at_once=len(basis) + len(rows))


def leading_remainder(
    rows: Rows, weight: Tensor, given: Rows, size: int
) -> tuple[Tensor, Rows, float]:
    """Return the leading directions of the remainder of `rows` after projection on `given`.

    `rows` is overwritten by the remainder, rows - (rows given') given.

    Args:
        rows: (m, P).
        weight: (m,), the weight of each row in the Gram matrix.
        given: (r, P), orthonormal.
        size: maximum number of directions.

    Returns:
        The coefficients rows given' (m, r); the directions (n, P), n <= `size`, orthonormal to each
        other and to `given`; and the share of the energy of the weighted rows outside the span of
        both.

    """
    energy = float(weight.square() @ rows.squared_norms())
    inside = rows.gram(given)
    gram = torch.zeros(len(rows), len(rows), dtype=rows.dtype)
    for block, given_block in blocks(rows, given):
        block.sub_(inside @ given_block)
        gram += block @ block.T
    values, vectors = eigenvalues_and_vectors(weight[:, None] * gram * weight)
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    count = min(size, int((values > energy * torch.finfo(rows.dtype).eps).sum()))
    basis = rows.combine(vectors[:, :count].T.to(rows.dtype) * weight)
    basis.scale(basis.squared_norms().rsqrt())
    return inside, basis, float(values[count:].sum()) / energy


def square_root(rows: Tensor) -> Tensor:
    """Return S (r, r) with S S' = rows' rows / n, for `rows` (n, r), in the dtype of `rows`."""
    z = rows.double()
    values, directions = eigenvalues_and_vectors(z.T @ z / len(z))
    root: Tensor = directions * values.clamp(min=0).sqrt()
    return root.to(rows.dtype)
