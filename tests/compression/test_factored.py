"""Factored stores on matrices of known spectrum, with the dense decomposition as the oracle."""

import pytest
import torch

from spectra import ROWS, SIZE, decay, decoded, error, table
from trainorder.compression.codec import compressed
from trainorder.compression.factored_int8 import FactoredInt8
from trainorder.compression.low_rank import LowRank
from trainorder.compression.range_finder import RangeFinder
from trainorder.compression.single_pass import SinglePass, sketch_sizes

EXACT = {torch.float32: 1e-4, torch.float64: 1e-9}  # error where there should be none
KINDS = [LowRank, RangeFinder, SinglePass]
RANK = 6


def best(singular, rank):
    """Return the smallest error that a matrix of that rank can have (Eckart and Young)."""
    values = torch.as_tensor(singular)
    return float(values[rank:].norm() / values.norm())


@pytest.mark.parametrize("dtype", EXACT, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_table_of_low_rank_is_stored_exactly(kind, dtype):
    dense = table([3.0, 2.0, 1.0, 0.5, 0.2, 0.1], dtype)
    assert error(compressed(kind(RANK), dense), dense) < EXACT[dtype]


@pytest.mark.parametrize("dtype", EXACT, ids=str)
@pytest.mark.parametrize("kind", [LowRank, RangeFinder])
def test_full_rank_is_exact(kind, dtype):
    dense = table(decay(0.5), dtype)
    assert error(compressed(kind(ROWS), dense), dense) < EXACT[dtype]


@pytest.mark.parametrize("dtype", EXACT, ids=str)
@pytest.mark.parametrize("power", [0.3, 1.0, 3.0])
def test_low_rank_has_the_smallest_possible_error(power, dtype):
    dense = table(decay(power), dtype)
    left, values, right = torch.linalg.svd(dense.matrix.double(), full_matrices=False)
    oracle = (left[:, :RANK] * values[:RANK]) @ right[:RANK]
    matrix = decoded(compressed(LowRank(RANK), dense)).flatten(0, 1).double()
    assert float((matrix - oracle).norm() / oracle.norm()) < EXACT[dtype]
    assert error(compressed(LowRank(RANK), dense), dense) == pytest.approx(
        best(decay(power), RANK), rel=1e-3
    )


@pytest.mark.parametrize("power", [0.3, 1.0, 3.0])
def test_the_range_finder_is_near_the_best_and_never_below(power):
    """Halko et al. 2011, theorem 10.5: E error^2 <= (1 + k / (p - 1)) best(k)^2 at rank k + p."""
    dense = table(decay(power))
    actual = error(compressed(RangeFinder(RANK), dense), dense)
    rank, oversampling = RANK // 2, RANK - RANK // 2
    bound = (1 + rank / (oversampling - 1)) ** 0.5 * best(decay(power), rank)
    assert best(decay(power), RANK) <= actual < 1.3 * bound


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_the_single_pass_is_within_a_small_factor_of_the_best(power):
    """A factor of (s - 1) / (s - k - 1) (k + r - 1) / (k - r - 1) = 6 on squares, in expectation.

    Tropp et al. 2019, section 5, for k = 2 r + 1 and s = 2 k + 1.
    """
    dense = table(decay(power))
    actual = error(compressed(SinglePass(RANK), dense), dense)
    assert best(decay(power), RANK) <= actual < 6**0.5 * best(decay(power), RANK)


@pytest.mark.parametrize("dtype", EXACT, ids=str)
@pytest.mark.parametrize("power", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("kind", [RangeFinder, SinglePass])
def test_the_stores_own_estimate_brackets_its_true_error(kind, power, dtype):
    dense = table(decay(power), dtype)
    codec = kind(RANK)
    store = compressed(codec, dense)
    estimate = codec.estimate(dense, store.arrays)
    true = error(store, dense)
    assert estimate.low < true < estimate.high
    assert estimate.value == pytest.approx(true, rel=0.35)


def test_the_estimate_detects_wrong_factors():
    dense = table(decay(1.0))
    codec = RangeFinder(RANK)
    store = compressed(codec, dense)
    wrong = {**store.arrays, "right": -store.arrays["right"]}
    assert codec.estimate(dense, wrong).low > codec.estimate(dense, store.arrays).value


@pytest.mark.parametrize("kind", KINDS)
def test_factors_take_the_bytes_of_two_thin_matrices(kind):
    store = compressed(kind(RANK), table(decay(1.0), torch.float32))
    assert store.bytes == 4 * RANK * (ROWS + SIZE)


def test_one_pass_holds_three_sketches_and_two_passes_cannot_stream():
    dense = table(decay(1.0), torch.float32)
    outer, core = sketch_sizes(RANK)
    store = compressed(SinglePass(RANK), dense)
    assert store.codec.streaming_bytes(store.arrays) == 4 * (outer * (ROWS + SIZE) + core**2)
    assert LowRank(RANK).streaming_bytes(compressed(LowRank(RANK), dense).arrays) is None


@pytest.mark.parametrize("kind", [LowRank, SinglePass])
def test_quantized_factors_add_little_to_the_error(kind):
    dense = table(decay(1.0), torch.float32)
    full, small = compressed(kind(RANK), dense), compressed(FactoredInt8(kind(RANK)), dense)
    assert error(small, dense) < error(full, dense) + 0.01
    assert small.bytes == RANK * (4 * ROWS + SIZE + 4 * -(-SIZE // 256))
