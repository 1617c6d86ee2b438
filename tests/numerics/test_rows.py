"""Operations on rows agree with dense linear algebra, in memory and in files alike."""

import gc

import h5py
import pytest
import torch

from trainorder.numerics import large_tensors, memory_budget
from trainorder.numerics.gram import principal
from trainorder.numerics.rows import Rows, blocks

SIZE = 3 * 2**12 + 5  # several of the narrowest blocks
CLOSE = {"rtol": 1e-12, "atol": 1e-9}


@pytest.fixture(params=["in memory", "in files"])
def place(request, monkeypatch):
    """Set a memory budget for all vectors or for none, and the narrowest blocks."""
    budget = 10**9 if request.param == "in memory" else 0
    monkeypatch.setattr(memory_budget._Memory, "left", budget)
    monkeypatch.setattr(large_tensors, "_BLOCK_NUMBERS", 1)
    return request.param


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def rows_of(values):
    """Return rows with the numbers of `values` (n, P), stored where the budget tells."""
    return Rows.stack(iter(values), *values.shape, values.dtype)


X, Y, W = normal(5, SIZE), normal(3, SIZE, seed=1), normal(SIZE, seed=2).abs()
MIX, FACTORS = normal(2, 5), normal(5, seed=4)
BETWEEN = normal(5, 3)
HALVES = (slice(0, 5000), slice(5000, SIZE))


def doubled(rows):
    """Double rows in place, block by block."""
    for (block,) in blocks(rows):
        block *= 2
    return rows


def overwritten(rows, vector):
    """Overwrite the last row."""
    rows[4] = vector
    return rows


OPERATIONS = {  # the operation on rows of X and Y, and the dense result
    "gram": (lambda x, y: x.gram(), X @ X.T),
    "gram with others": (lambda x, y: x.gram(y), X @ Y.T),
    "gram with a weight": (lambda x, y: x.gram(y, W.to(x.tensor)), (X * W) @ Y.T),
    "squared norms": (lambda x, y: x.squared_norms(), X.square().sum(1)),
    "squared norms with a weight": (
        lambda x, y: x.squared_norms(W.to(x.tensor)),
        (X.square() * W).sum(1),
    ),
    "combine": (lambda x, y: x.combine(MIX.to(x.tensor)).tensor, MIX @ X),
    "scale": (lambda x, y: x.scale(FACTORS.to(x.tensor)).tensor, FACTORS[:, None] * X),
    "map with a vector": (lambda x, y: x.map_blocks(torch.mul, W.to(x.tensor)).tensor, X * W),
    "map with rows": (
        lambda x, y: x.map_blocks(lambda block, other: block - BETWEEN.to(block) @ other, y).tensor,
        X - BETWEEN @ Y,
    ),
    "from blocks": (
        lambda x, y: Rows.from_blocks(2, lambda a, b: MIX.to(a) @ a + b[:2], x, y).tensor,
        MIX @ X + Y[:2],
    ),
    "map with a function of the columns": (
        lambda x, y: x.map_blocks(torch.sub, W.to(x.tensor).__getitem__).tensor,
        X - W,
    ),
    "fill from a function of the columns": (
        lambda x, y: x.fill(torch.clone, W.to(x.tensor).__getitem__).tensor,
        W.expand(5, -1),
    ),
    "fill more rows at once": (
        lambda x, y: y.fill(lambda block: MIX.to(block)[:, :3].T @ block[:2], x, at_once=9).tensor,
        MIX[:, :3].T @ X[:2],
    ),
    "combination": (
        lambda x, y: torch.cat([x.combination(MIX.to(x.tensor))(c) for c in HALVES], 1),
        MIX @ X,
    ),
    "blocks": (
        lambda x, y: torch.cat([a[:3] * w - b for a, b, w in blocks(x, y, W.to(x.tensor))], 1),
        X[:3] * W - Y,
    ),
    "blocks that are changed": (lambda x, y: doubled(x).tensor, 2 * X),
    "split": (
        lambda x, y: torch.cat([part.tensor for part in x[:4].split(2)[::-1]]),
        X[[2, 3, 0, 1]],
    ),
    "some rows": (lambda x, y: x[1::2].tensor, X[1::2]),
    "some columns": (lambda x, y: x.block(HALVES[1]), X[:, HALVES[1]]),
    "overwritten row": (lambda x, y: overwritten(x, y[2]).tensor, torch.cat([X[:4], Y[2:]])),
    "each row": (lambda x, y: torch.stack(list(x)), X),
    "concatenate": (lambda x, y: Rows.concatenate([x, y]).tensor, torch.cat([X, Y])),
    "copy": (lambda x, y: x.copy().tensor, X),
    "row": (lambda x, y: x[3], X[3]),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_gives_the_dense_result(place, name):
    operation, expected = OPERATIONS[name]
    torch.testing.assert_close(operation(rows_of(X), rows_of(Y)), expected, **CLOSE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_bits_do_not_depend_on_the_place(monkeypatch, name, dtype):
    monkeypatch.setattr(large_tensors, "_BLOCK_NUMBERS", 1)
    results = []
    for budget in (10**9, 0):
        monkeypatch.setattr(memory_budget._Memory, "left", budget)
        results.append(OPERATIONS[name][0](rows_of(X.to(dtype)), rows_of(Y.to(dtype))))
    assert torch.equal(*results)


def test_principal_directions_are_orthonormal_in_the_metric(place):
    directions = principal(rows_of(X), W, 4)
    assert len(directions) == 4
    torch.testing.assert_close(
        directions.gram(weight=W.square()), torch.eye(4, dtype=torch.float64), **CLOSE
    )
    _, _, expected = torch.linalg.svd(X * W, full_matrices=False)
    overlap = ((directions.tensor * W) @ expected[:4].T).abs()
    torch.testing.assert_close(overlap, torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-6)


def test_empty_has_the_shape_and_dtype(place):
    rows = Rows.empty(2, SIZE, dtype=torch.float64)
    assert (len(rows), rows.size, rows.dtype) == (2, SIZE, torch.float64)
    assert Rows.empty(2, SIZE).dtype == torch.float32


def test_the_width_of_a_block_depends_on_the_number_of_rows(monkeypatch):
    monkeypatch.setattr(large_tensors, "_BLOCK_NUMBERS", 8 * 2**12)
    widths = [
        [part[0].shape[-1] for part in blocks(*operands, at_once=at_once)]
        for operands, at_once in [((Rows(X[:2]), Rows(Y[:2])), None), ((Rows(X),), 4), ((W,), 4)]
    ]
    assert widths == [[8192, SIZE - 8192]] * 3


def test_stack_raises_on_another_number_of_vectors(place):
    with pytest.raises(ValueError, match="zip"):
        Rows.stack(iter(X), 4, SIZE, X.dtype)


def test_rows_are_written_and_read_back(place, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        rows_of(X).write(file, "rows")
        assert torch.equal(Rows.read(file["rows"]).tensor, X)


def test_memory_is_released_with_the_rows(place):
    gc.collect()
    left, files = memory_budget._Memory.left, len(large_tensors._files)
    rows = rows_of(X)
    combined = rows.combine(MIX)
    size = 8 * 7 * SIZE if place == "in memory" else 0
    assert memory_budget._Memory.left == left - size
    assert len(large_tensors._files) - files == (0 if size else 2)
    del rows, combined
    gc.collect()
    assert memory_budget._Memory.left == left
    assert len(large_tensors._files) == files
