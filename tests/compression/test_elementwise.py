"""Stores that keep each number, or each number of some steps."""

import pytest
import torch

from spectra import STEPS, UNITS, decay, error, table
from trainorder.compression.anchor_codec import AnchorCodec
from trainorder.compression.codec import DenseTable, compressed
from trainorder.compression.dense import DenseCodec
from trainorder.compression.float16 import Float16
from trainorder.compression.int8 import Int8


def test_dense_is_exact():
    dense = table(decay(1.0), torch.float32)
    store = compressed(DenseCodec(), dense)
    assert error(store, dense) == 0
    assert store.bytes == dense.gradient.numel() * 4


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_float16_keeps_eleven_bits_at_any_scale(scale):
    dense = DenseTable(table(decay(0.5), torch.float32).gradient * scale)
    store = compressed(Float16(), dense)
    assert error(store, dense) < 2**-11
    assert store.bytes == dense.gradient.numel() * 2 + STEPS * UNITS * 4


@pytest.mark.parametrize("size", [256, 400, 513])
def test_int8_errs_by_at_most_half_a_level_of_its_block(size):
    dense = table(decay(0.5), torch.float32, size=size)
    store = compressed(Int8(), dense)
    for t in range(STEPS):
        for g, decoded in zip(dense.at(t), store.at(t), strict=True):
            for block, decoded_block in zip(g.split(256), decoded.split(256), strict=True):
                level = float(block.abs().max()) / 127
                assert float((decoded_block - block).abs().max()) <= level / 2 * (1 + 1e-5)
    assert store.bytes == STEPS * UNITS * (size + 4 * -(-size // 256))


@pytest.mark.parametrize("codec", [Float16(), Int8()], ids=["float16", "int8"])
def test_gradients_of_zeros_stay_zeros(codec):
    dense = DenseTable(torch.zeros(2, 3, 300))
    assert torch.equal(compressed(codec, dense).at(1), dense.at(1))


@pytest.mark.parametrize("inner", [None, Float16()], ids=["plain", "float16"])
def test_anchors_recover_a_table_that_is_linear_in_t(inner):
    start, slope = table(decay(0.5)).gradient[:2]
    t = torch.arange(STEPS, dtype=torch.float64)[:, None, None]
    dense = DenseTable(start + t * slope)
    store = compressed(AnchorCodec(2, inner), dense)
    assert error(store, dense) < (1e-14 if inner is None else 2**-11)
    assert store.arrays["step"].tolist() == [0, STEPS - 1]


def test_anchors_are_exact_at_the_anchors():
    dense = table(decay(0.5))
    store = compressed(AnchorCodec(3), dense)
    for t in store.arrays["step"].tolist():
        assert torch.equal(store.at(t), dense.at(t))
    assert store.bytes == 3 * (UNITS * dense.gradient.shape[-1] * 8 + 8), "anchors and their steps"
