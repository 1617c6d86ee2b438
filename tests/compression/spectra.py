"""Tables with a matrix of known spectrum."""

import torch

from trainorder.compression.codec import DenseTable

STEPS, UNITS, SIZE = 6, 5, 400
ROWS = STEPS * UNITS


def table(singular, dtype=torch.float64, size=SIZE, seed=0):
    """Return a table (STEPS, UNITS, size) whose matrix has these singular values (at most ROWS)."""
    generator = torch.Generator().manual_seed(seed)
    count = len(singular)

    def orthonormal(rows):
        return torch.linalg.qr(torch.randn(rows, count, generator=generator, dtype=torch.float64)).Q

    values = torch.as_tensor(singular, dtype=torch.float64)
    matrix = (orthonormal(ROWS) * values) @ orthonormal(size).T
    return DenseTable(matrix.to(dtype).unflatten(0, (STEPS, UNITS)))


def decay(power, count=ROWS):
    """Return singular values 1, 2^-power, 3^-power, ..."""
    return torch.arange(1, count + 1, dtype=torch.float64) ** -power


def decoded(store):
    """Return the decoded table of a store, (STEPS, UNITS, P)."""
    return torch.stack([store.at(t) for t in range(STEPS)])


def error(store, dense):
    """Return |A' - A| / |A| (Frobenius)."""
    return float((decoded(store) - dense.gradient).norm() / dense.gradient.norm())
