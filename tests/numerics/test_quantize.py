"""The errors of compressed vectors are within their documented bounds."""

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
def test_the_error_of_a_code_is_at_most_half_a_level(size, dtype, levels):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(4, size, generator=generator, dtype=dtype) * 10 ** torch.arange(-6, 2, 2)[
        :, None
    ].to(dtype)
    code, scale = quantized(rows, levels)
    restored = dequantized(code, scale)
    assert code.dtype == torch.int8
    assert restored.dtype == dtype
    for start in range(0, size, BLOCK):
        block = slice(start, start + BLOCK)
        level = rows[:, block].abs().amax(1, keepdim=True) / levels
        error = (restored - rows)[:, block].abs()
        assert (error <= level * (0.5 + 1e-4)).all(), "the error is more than half a level"
    again = dequantized(*quantized(restored, levels))
    assert torch.allclose(again, restored, rtol=1e-5), "quantization is not idempotent"


def test_a_long_row_is_encoded_in_parts_as_at_once(monkeypatch):
    rows = torch.randn(2, 3 * BLOCK - 5, generator=torch.Generator().manual_seed(0))
    at_once = quantized(rows)
    monkeypatch.setattr("trainorder.numerics.quantize._COLUMNS", BLOCK)
    for whole, part in zip(at_once, quantized(rows), strict=True):
        assert torch.equal(whole, part)


@pytest.mark.parametrize("size", [1, 2, 7, 300])
def test_packed_codes_take_half_a_byte_and_are_restored(size):
    code = torch.arange(2 * size).remainder(2 * FEW_LEVELS + 1).sub(FEW_LEVELS)
    code = code.to(torch.int8).view(2, size)
    pairs = packed(code)
    assert pairs.shape == (2, -(-size // 2))
    assert pairs.dtype == torch.uint8
    assert torch.equal(unpacked(pairs, size), code), "unpacked codes differ"


def test_an_outlier_affects_only_its_own_block():
    rows = torch.ones(1, 2 * BLOCK, dtype=torch.float64)
    rows[0, 0] = 1e6
    restored = dequantized(*quantized(rows))
    assert torch.allclose(restored[:, BLOCK:], rows[:, BLOCK:])


def test_zeros_stay_zeros():
    rows = torch.zeros(2, 300, dtype=torch.float64)
    assert torch.equal(dequantized(*quantized(rows)), rows)
    assert torch.equal(unhalved(*halved(rows)), rows)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_scaled_float16_keeps_eleven_bits_at_any_scale(scale):
    generator = torch.Generator().manual_seed(0)
    rows = scale * torch.randn(3, 500, generator=generator, dtype=torch.float64)
    error = (unhalved(*halved(rows)) - rows).abs() / rows.abs()
    assert float(error.max()) <= 2**-11 * 1.001
