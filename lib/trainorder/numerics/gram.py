"""Eigendecompositions of small Gram matrices of long vectors.

The n principal directions of n vectors of P parameters, n much smaller than P, follow from the
eigendecomposition of their Gram matrix (n, n). Every function here decomposes in float64, whatever
the dtype of the vectors.
"""

import torch
from torch import Tensor

from trainorder.numerics import large_tensors

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


def principal(rows: Tensor, metric: Tensor, count: int) -> Tensor:
    """Return up to `count` principal directions (n, P) of `rows` (m, P).

    They are orthogonal and of unit length in the norm |metric * x|, strongest first.

    Args:
        rows: (m, P).
        metric: (P,).
        count: maximum of n; n is smaller if the rows span fewer dimensions.

    """
    squared = metric.square()
    values, combined = eigenvalues_and_vectors(large_tensors.inner_products(rows, rows, squared))
    kept = values > 1e-10 * values.max()
    leading = combined[:, kept].flip(1)[:, :count].to(rows.dtype)
    directions = large_tensors.combine(leading.T, rows)
    return large_tensors.scale_rows(
        directions, large_tensors.squared_norms(directions, squared).rsqrt()
    )


def orthonormal_basis(rows: Tensor) -> Tensor:
    """Return an orthonormal basis (m, P) of the span of `rows` (n, P), principal directions first.

    The Gram matrix is summed in float64. For float32 rows this is as exact as a singular value
    decomposition of the rows, and many times faster.
    """
    exact = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    for columns in large_tensors.column_blocks(*rows.shape):
        block = rows[:, columns].double()
        exact += block @ block.T
    values, combined = eigenvalues_and_vectors(exact)
    floor = (len(rows) * torch.finfo(rows.dtype).eps) ** 2  # relative energy of rounding noise
    kept = values > values[-1] * max(floor, len(rows) * torch.finfo(exact.dtype).eps)
    weights = (combined[:, kept] / values[kept].sqrt()).T.flip(0)
    result = large_tensors.empty(len(weights), rows.shape[1], dtype=rows.dtype)
    for columns in large_tensors.column_blocks(sum(weights.shape), rows.shape[1]):
        result[:, columns] = (weights @ rows[:, columns].double()).to(rows.dtype)
    return result


def leading_remainder(
    rows: Tensor, weight: Tensor, given: Tensor, size: int
) -> tuple[Tensor, Tensor, float]:
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
    energy = float(weight.square() @ large_tensors.squared_norms(rows))
    inside = large_tensors.inner_products(rows, given)
    gram = rows.new_zeros(len(rows), len(rows))
    for columns in large_tensors.column_blocks(len(rows) + len(given), rows.shape[1]):
        rows[:, columns] -= inside @ given[:, columns]
        gram += rows[:, columns] @ rows[:, columns].T
    values, combined = eigenvalues_and_vectors(weight[:, None] * gram * weight)
    values, combined = values.flip(0).clamp(min=0), combined.flip(1)
    count = min(size, int((values > energy * torch.finfo(rows.dtype).eps).sum()))
    basis = large_tensors.combine(combined[:, :count].T.to(rows.dtype) * weight, rows)
    large_tensors.scale_rows(basis, large_tensors.squared_norms(basis).rsqrt())
    return inside, basis, float(values[count:].sum()) / energy


def square_root(rows: Tensor) -> Tensor:
    """Return S (r, r) with S S' = rows' rows / n, for `rows` (n, r), in the dtype of `rows`."""
    z = rows.double()
    values, directions = eigenvalues_and_vectors(z.T @ z / len(z))
    root: Tensor = directions * values.clamp(min=0).sqrt()
    return root.to(rows.dtype)
