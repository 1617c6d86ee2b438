"""Matrices of vectors have the same values in memory and in temporary files."""

import errno
import gc
import os

import h5py
import numpy as np
import pytest
import torch

from problems import (
    Polynomial,
    barycentre,
    every_sequence,
    ignore,
    low_rank,
    optimizer_config,
    warm_state,
)
from trainorder.errors import UserError
from trainorder.estimators.nystrom import Nystrom
from trainorder.numerics import large_tensors, memory_budget

SIZE = 3 * 2**12 + 5  # more than one block of the smallest width


@pytest.fixture(params=["in memory", "in files"])
def place(request, monkeypatch):
    """Keep all vectors in memory or none, with blocks of the smallest width."""
    budget = 10**9 if request.param == "in memory" else 0
    monkeypatch.setattr(memory_budget._Memory, "left", budget)
    monkeypatch.setattr(large_tensors, "_BLOCK_NUMBERS", 1)
    return request.param


def random(*shape):
    """Return a large tensor of random numbers."""
    return large_tensors.empty(*shape, dtype=torch.float64).normal_(
        generator=torch.Generator().manual_seed(len(shape))
    )


def test_operations_on_blocks_equal_those_on_the_whole_matrix(place):
    gc.collect()
    before = len(large_tensors._files)
    first, second, weight = random(5, SIZE), random(3, SIZE), random(SIZE)
    assert len(large_tensors._files) - before == (3 if place == "in files" else 0)
    close = {"rtol": 1e-12, "atol": 1e-9}
    products = large_tensors.inner_products(first, second, weight)
    torch.testing.assert_close(products, (first * weight) @ second.T, **close)
    torch.testing.assert_close(
        large_tensors.inner_products(first, second), first @ second.T, **close
    )
    mix = torch.ones(2, 5, dtype=torch.float64)
    torch.testing.assert_close(large_tensors.combine(mix, first), mix @ first, **close)
    squares = large_tensors.squared_norms(first, weight**2)
    torch.testing.assert_close(squares, (first * weight).square().sum(1), **close)
    assert torch.equal(large_tensors.join([first, second]), torch.cat([first, second]))
    expected = first * squares[:, None]
    assert torch.equal(large_tensors.scale_rows(first, squares), expected)


def test_zeros_returns_only_zeros(place):
    assert not large_tensors.zeros(2, SIZE).any()


def test_released_pages_keep_their_values(place):
    rows = random(2, SIZE)
    expected = rows + 0
    large_tensors.release_pages()
    assert torch.equal(rows, expected), "the released pages were lost"


def test_vectors_are_written_and_read_back(place, tmp_path):
    rows, one = random(2, 3, SIZE), random(SIZE)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        large_tensors.write(file, "rows", rows)
        large_tensors.write(file, "pair", rows[0])
        large_tensors.write(file, "one", one)
        assert torch.equal(large_tensors.read(file["rows"]), rows)
        assert torch.equal(large_tensors.read(file["rows"], 1, 2), rows[1, 2])
        assert torch.equal(large_tensors.read(file["one"]), one)
        assert torch.equal(
            large_tensors.read_columns(file["pair"], 1, slice(5, 9)), rows[0, 1, 5:9]
        )
        assert torch.equal(large_tensors.read_columns(file["pair"], 2, slice(None)), rows[0, 2])


def test_memory_is_reserved_and_returned(monkeypatch):
    gc.collect()
    before = len(large_tensors._files)
    monkeypatch.setattr(memory_budget._Memory, "left", 1000)
    first = large_tensors.empty(2, 100)
    second = large_tensors.empty(100)
    assert memory_budget._Memory.left == 200, "the budget is exceeded"
    assert len(large_tensors._files) == before + 1
    view = first[1]
    del first
    gc.collect()
    assert memory_budget._Memory.left == 200, (
        "a matrix is returned to the budget while a view is in use"
    )
    del view, second
    gc.collect()
    assert memory_budget._Memory.left == 1000
    assert len(large_tensors._files) == before, "an unused file is still mapped"


def test_a_full_disk_raises_one_line(monkeypatch):
    def full(handle, start, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(memory_budget._Memory, "left", 0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"no room for 4\.0 GB of vectors .*TMPDIR.*memory_gb"):
        large_tensors.empty(10**9)


def test_replays_do_not_depend_on_the_budget(monkeypatch, tmp_path):
    problem, config = Polynomial(6, size=12), optimizer_config(learning_rate=0.05)
    warm = warm_state(problem, problem.start, config)
    ends = []
    for budget in (0, 10**9):
        monkeypatch.setattr(memory_budget._Memory, "left", budget)
        folder = tmp_path / str(budget)
        folder.mkdir()
        with barycentre(problem, warm, 6, 1, config, folder) as about:
            model, _ = low_rank(about, every_sequence(problem, np.arange(6) % 2))
            schedules = torch.tensor([[[5], [4], [3], [2], [1], [0]]])
            ends.append(Nystrom(about, model).replay(schedules, ignore))
    assert torch.equal(*ends), "the budget changes the result"
