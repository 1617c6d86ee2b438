"""Arithmetic on many parameter vectors, derivatives, interpolation, quantization, statistics."""
