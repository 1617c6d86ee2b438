"""Properties that every store has."""

import numpy as np
import pytest
import torch

from spectra import STEPS, UNITS, decay, decoded, table
from trainorder.compression.codec import DenseTable, compressed, rank_within
from trainorder.compression.codecs import all_codecs
from trainorder.errors import UserError

DENSE = table(decay(1.0), torch.float32)
CODECS = all_codecs(DENSE.shape)


def label(codec):
    return f"{codec.name} {codec.size} {codec.read}".strip()


def test_each_store_is_compared_once():
    assert len({label(codec) for codec in CODECS}) == len(CODECS)
    assert {codec.name for codec in CODECS} >= {
        "dense", "float16", "int8", "anchors", "jl", "sparse_jl", "low-rank", "range finder",
        "single pass",
    }  # fmt: skip


@pytest.mark.parametrize("codec", CODECS, ids=label)
def test_decoding_keeps_shape_and_dtype(codec):
    store = compressed(codec, DENSE)
    for t in range(STEPS):
        assert store.at(t).shape == DENSE.at(t).shape
        assert store.at(t).dtype == DENSE.at(t).dtype
        assert len(store.features(t)) == UNITS
        assert torch.isfinite(store.at(t)).all()


@pytest.mark.parametrize("codec", CODECS, ids=label)
def test_bytes_are_those_of_the_stored_arrays(codec):
    store = compressed(codec, DENSE)
    assert store.bytes == sum(np.asarray(array).nbytes for array in store.arrays.values())


@pytest.mark.parametrize("codec", CODECS, ids=label)
def test_encoding_twice_gives_the_same_numbers(codec):
    again = table(decay(1.0), torch.float32)  # an equal table that is another object
    one, two = compressed(codec, DENSE), compressed(codec, again)
    for name, array in one.arrays.items():
        assert torch.equal(array, two.arrays[name]), f"{name} differs from run to run"


@pytest.mark.parametrize("codec", CODECS, ids=label)
def test_encoding_does_not_change_the_table(codec):
    dense = table(decay(1.0), torch.float32)
    decoded(compressed(codec, dense)).mul_(2)
    assert torch.equal(dense.gradient, DENSE.gradient)


@pytest.mark.parametrize("ratio", [2, 8, 32])
def test_factors_of_the_rank_that_fits_take_no_more_than_their_share(ratio):
    shape = (32, 32, 1000)
    rank = rank_within(shape, ratio)
    numbers = 32 * 32 * 1000
    assert rank * (1024 + 1000) * ratio <= numbers < (rank + 1) * (1024 + 1000) * ratio


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_raises_one_line(bad):
    gradient = DENSE.gradient.clone()
    gradient[2, 3, 7] = bad
    with pytest.raises(UserError, match=r"unit 3 at step 2 is not finite"):
        DenseTable(gradient)
