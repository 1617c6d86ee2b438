"""Random projections keep inner products and cannot be inverted."""

from functools import partial

import pytest
import torch

from spectra import STEPS, UNITS, decay, error, table
from trainorder.compression.codec import compressed
from trainorder.compression.jl import BLOCK, JL, LEAST_SQUARES, SEED, TRANSPOSE, projections
from trainorder.compression.sparse_jl import SparseProjection

SIZE = 3 * BLOCK + 300  # not whole blocks
KINDS = [partial(JL, read=LEAST_SQUARES), SparseProjection]


@pytest.fixture(scope="module")
def dense():
    return table(decay(0.5), size=SIZE)


@pytest.mark.parametrize("ratio", [8, 32])
@pytest.mark.parametrize("kind", KINDS)
def test_inner_products_of_sketches_approximate_those_of_gradients(kind, ratio, dense):
    store = compressed(kind(ratio), dense)
    for t in range(STEPS):
        rows, features = dense.at(t), store.features(t)
        true, approximate = rows @ rows.T, features @ features.T
        norms = true.diagonal().sqrt()
        error_of_products = ((approximate - true) / (norms[:, None] * norms)).abs().max()
        assert error_of_products < 4.5 * (ratio / SIZE) ** 0.5 * 2**0.5, (
            "beyond four and a half deviations"
        )


@pytest.mark.parametrize("ratio", [8, 32])
def test_the_error_of_the_transpose_exceeds_the_table(ratio, dense):
    actual = error(compressed(JL(ratio, TRANSPOSE), dense), dense)
    assert actual == pytest.approx(ratio**0.5, rel=0.15), "E |S^T S x - x|^2 ~ P / k |x|^2"


@pytest.mark.parametrize("ratio", [8, 32])
@pytest.mark.parametrize("kind", KINDS)
def test_least_squares_recovers_its_share_of_directions(kind, ratio, dense):
    actual = error(compressed(kind(ratio), dense), dense)
    assert actual == pytest.approx((1 - 1 / ratio) ** 0.5, abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_least_squares_explains_the_sketch(kind, dense):
    """S x' = S x: read back and sketched again, nothing changes."""
    codec = kind(8)
    store = compressed(codec, dense)
    recovered = torch.stack([store.at(t) for t in range(STEPS)])
    again = codec.encode(type(dense)(recovered))
    if kind is not SparseProjection:  # the last block is cut to the parameters there are
        again["sketch"], sketch = again["sketch"][:, :, :-1], store.arrays["sketch"][:, :, :-1]
    else:
        sketch = store.arrays["sketch"]
    assert torch.allclose(again["sketch"], sketch, atol=1e-10)


def test_least_squares_is_the_pseudo_inverse():
    dense = table(decay(0.5), size=BLOCK)
    store = compressed(JL(8, LEAST_SQUARES), dense)
    [projection] = projections(1, BLOCK // 8, SEED, torch.float64)
    expected = dense.at(0) @ projection.T @ torch.linalg.pinv(projection).T
    assert torch.allclose(store.at(0), expected, atol=1e-10)


@pytest.mark.parametrize("ratio", [8, 32])
def test_a_sketch_counts_its_numbers_and_its_seed(ratio, dense):
    store = compressed(SparseProjection(ratio), dense)
    assert store.bytes == STEPS * UNITS * (SIZE // ratio) * 8 + 16
    store = compressed(JL(ratio, TRANSPOSE), dense)
    assert store.bytes == STEPS * UNITS * 4 * (BLOCK // ratio) * 8 + 16
