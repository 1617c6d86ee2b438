"""Matrices of vectors: the same numbers whether they are held or lie in files."""

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

SIZE = 3 * 2**12 + 5  # some blocks of the narrowest


@pytest.fixture(params=["held", "in files"])
def place(request, monkeypatch):
    """Let vectors be held, or none of them; blocks are as narrow as may be."""
    monkeypatch.setattr(memory_budget._Memory, "left", 10**9 if request.param == "held" else 0)
    monkeypatch.setattr(large_tensors, "_BLOCK_NUMBERS", 1)
    return request.param


def random(*shape):
    """Return a tensor of `empty` with random numbers."""
    return large_tensors.empty(*shape, dtype=torch.float64).normal_(
        generator=torch.Generator().manual_seed(len(shape))
    )


def test_work_on_blocks_is_that_on_the_whole(place):
    gc.collect()
    before = len(large_tensors._files)
    first, second, weight = random(5, SIZE), random(3, SIZE), random(SIZE)
    assert len(large_tensors._files) - before == (3 if place == "in files" else 0)
    close = {"rtol": 1e-12, "atol": 1e-9}
    found = large_tensors.inner_products(first, second, weight)
    torch.testing.assert_close(found, (first * weight) @ second.T, **close)
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


def test_zeros_are_zeros(place):
    assert not large_tensors.zeros(2, SIZE).any()


def test_what_is_forgotten_is_still_there(place):
    rows = random(2, SIZE)
    expected = rows + 0
    large_tensors.release_pages()
    assert torch.equal(rows, expected), "the pages of a matrix are lost, not given back"


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


def test_memory_is_taken_and_given_back(monkeypatch):
    gc.collect()
    before = len(large_tensors._files)
    monkeypatch.setattr(memory_budget._Memory, "left", 1000)
    first = large_tensors.empty(2, 100)
    second = large_tensors.empty(100)
    assert memory_budget._Memory.left == 200, "more is held than was given leave for"
    assert len(large_tensors._files) == before + 1
    view = first[1]
    del first
    gc.collect()
    assert memory_budget._Memory.left == 200, "a matrix is given back while a part of it is in use"
    del view, second
    gc.collect()
    assert memory_budget._Memory.left == 1000
    assert len(large_tensors._files) == before, "a file is mapped that nothing refers to"


def test_a_disk_without_room_is_one_line(monkeypatch):
    def full(handle, start, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(memory_budget._Memory, "left", 0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"no room for 4\.0 GB of vectors .*TMPDIR.*memory_gb"):
        large_tensors.empty(10**9)


def test_replays_are_the_same_wherever_vectors_lie(monkeypatch, tmp_path):
    problem, config = Polynomial(6, size=12), optimizer_config(learning_rate=0.05)
    warm = warm_state(problem, problem.start, config)
    ends = []
    for held in (0, 10**9):
        monkeypatch.setattr(memory_budget._Memory, "left", held)
        folder = tmp_path / str(held)
        folder.mkdir()
        with barycentre(problem, warm, 6, 1, config, folder) as about:
            model, _ = low_rank(about, every_sequence(problem, np.arange(6) % 2))
            schedules = torch.tensor([[[5], [4], [3], [2], [1], [0]]])
            ends.append(Nystrom(about, model).replay(schedules, ignore))
    assert torch.equal(*ends), "where vectors lie changes what is computed"
