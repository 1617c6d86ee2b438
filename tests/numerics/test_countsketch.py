"""Sketches are linear and preserve norms with the documented error."""

import numpy as np
import pytest
import torch

from trainorder.numerics.countsketch import SparseJL


def dense(sketch, size):
    """Return the projection as a matrix (k, P)."""
    return sketch(torch.eye(size, dtype=torch.float64)).T


def test_each_column_has_one_entry_of_size_one():
    matrix = dense(SparseJL(50, 8), 50)
    assert torch.equal(matrix.abs().sum(0), torch.ones(50, dtype=torch.float64))
    assert torch.equal((matrix != 0).sum(0), torch.ones(50, dtype=torch.int64))
    assert set(matrix.unique().tolist()) == {-1.0, 0.0, 1.0}, "a sign or a zero never occurs"


def test_a_sketch_is_the_product_with_the_matrix():
    sketch = SparseJL(50, 8)
    vectors = torch.randn(3, 2, 50, generator=torch.Generator().manual_seed(0)).double()
    assert torch.allclose(sketch(vectors), vectors @ dense(sketch, 50).T, rtol=1e-12)


def test_blocks_do_not_change_a_sketch(monkeypatch):
    vectors = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    whole = SparseJL(50, 8)(vectors)
    one_by_one = torch.stack([SparseJL(50, 8)(vector) for vector in vectors])
    monkeypatch.setattr("trainorder.numerics.countsketch._BLOCK", 7)
    assert torch.equal(whole, SparseJL(50, 8)(vectors)), "the order of the sums changed"
    assert torch.equal(whole, one_by_one), "a sketch depends on the other vectors"


def test_two_instances_draw_the_same_projection():
    vector = torch.arange(100.0)
    assert torch.equal(SparseJL(100, 16)(vector), SparseJL(100, 16)(vector)), (
        "sketches of different files cannot be subtracted"
    )


@pytest.mark.parametrize("rows", [64, 256])
def test_squared_norms_are_unbiased_with_the_documented_spread(rows):
    vector = torch.randn(2000, generator=torch.Generator().manual_seed(1)).double()
    ratios = np.array(
        [
            float(SparseJL(2000, rows, seed)(vector).square().sum() / vector.square().sum())
            for seed in range(400)
        ]
    )
    spread = np.sqrt(2 / rows)
    assert abs(ratios.mean() - 1) < 4 * spread / 20, "squared norms are biased"
    assert 0.8 * spread < ratios.std() < 1.2 * spread, "the spread is not sqrt(2 / k)"
