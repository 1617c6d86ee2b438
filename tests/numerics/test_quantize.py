"""Bytes and halves stand for numbers within half a step."""

import pytest
import torch

from trainorder.numerics.quantize import (
    BLOCK,
    FEW_LEVELS,
    LEVELS,
    dequantized,
    halved,
    packed,
    quantized,
    unhalved,
    unpacked,
)


@pytest.mark.parametrize("size", [1, BLOCK, BLOCK + 1, 3 * BLOCK - 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("levels", [LEVELS, FEW_LEVELS])
def test_a_code_is_wrong_by_half_a_step_at_most(size, dtype, levels):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(4, size, generator=generator, dtype=dtype) * 10 ** torch.arange(-6, 2, 2)[
        :, None
    ].to(dtype)
    code, scale = quantized(rows, levels)
    found = dequantized(code, scale)
    assert code.dtype == torch.int8
    assert found.dtype == dtype
    for start in range(0, size, BLOCK):
        block = slice(start, start + BLOCK)
        step = rows[:, block].abs().amax(1, keepdim=True) / levels
        error = (found - rows)[:, block].abs()
        assert (error <= step * (0.5 + 1e-4)).all(), "more than half a step"
    again = dequantized(*quantized(found, levels))
    assert torch.allclose(again, found, rtol=1e-5), "what was quantized changes when it is again"


@pytest.mark.parametrize("size", [1, 2, 7, 300])
def test_half_bytes_are_packed_two_to_a_byte_and_come_back(size):
    code = torch.arange(2 * size).remainder(2 * FEW_LEVELS + 1).sub(FEW_LEVELS)
    code = code.to(torch.int8).view(2, size)
    pairs = packed(code)
    assert pairs.shape == (2, -(-size // 2))
    assert pairs.dtype == torch.uint8
    assert torch.equal(unpacked(pairs, size), code), "half-bytes are mixed up"


def test_an_outlier_spoils_only_its_own_block():
    rows = torch.ones(1, 2 * BLOCK, dtype=torch.float64)
    rows[0, 0] = 1e6
    found = dequantized(*quantized(rows))
    assert torch.allclose(found[:, BLOCK:], rows[:, BLOCK:])


def test_zeros_stay_zeros():
    rows = torch.zeros(2, 300, dtype=torch.float64)
    assert torch.equal(dequantized(*quantized(rows)), rows)
    assert torch.equal(unhalved(*halved(rows)), rows)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_halves_keep_eleven_bits_whatever_the_scale(scale):
    generator = torch.Generator().manual_seed(0)
    rows = scale * torch.randn(3, 500, generator=generator, dtype=torch.float64)
    error = (unhalved(*halved(rows)) - rows).abs() / rows.abs()
    assert float(error.max()) <= 2**-11 * 1.001
