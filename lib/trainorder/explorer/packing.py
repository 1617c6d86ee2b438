"""Packs arrays for the page: whole numbers of a few bits with shared scales, in base64."""

import base64
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def packed(values: Floats, scaled: int, bits: int) -> dict[str, Any]:
    """Return an array as codes of `bits` bits; a value is its code times the scale of its block.

    Args:
        values: the array.
        scaled: number of leading axes; each index of these axes has a block with its own scale.
        bits: bits of a code, at most 32.

    Returns:
        `shape`, `bits`, the `scales` as little-endian float32, one for each block, and the `codes`:
        numbers without a sign, 2^(bits - 1) for zero, one after the other, the highest bit first.
        Both are text in base64.

    """
    scales, codes = _quantized(values, scaled, bits)
    shifted = (codes + 2 ** (bits - 1)).astype(np.uint32).reshape(-1, 1)
    digits = (shifted >> np.arange(bits - 1, -1, -1, dtype=np.uint32) & 1).astype(np.uint8)
    return {
        "shape": list(values.shape),
        "bits": bits,
        "scales": _text(scales.astype("<f4").tobytes()),
        "codes": _text(np.packbits(digits).tobytes()),
    }


def rounded(values: Floats, scaled: int, bits: int) -> Floats:
    """Return the values that the page reads from `packed`."""
    scales, codes = _quantized(values, scaled, bits)
    return (codes * scales[:, None]).reshape(values.shape)


def _quantized(values: Floats, scaled: int, bits: int) -> tuple[Floats, Floats]:
    """Return the scales (n,), which are numbers of float32, and the codes (n, size of a block)."""
    first, rest = (math.prod(sizes) for sizes in (values.shape[:scaled], values.shape[scaled:]))
    blocks = values.reshape(first, rest)
    largest = np.abs(blocks).max(axis=1, initial=0.0) / (2 ** (bits - 1) - 1)
    scales = np.nextafter(largest.astype(np.float32), np.float32(np.inf)).astype(np.float64)
    return scales, np.rint(blocks / scales[:, None])


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
