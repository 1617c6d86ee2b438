"""What grows stays within the budget, and grows by the share that its error calls for."""

from dataclasses import replace

import pytest

from trainorder.config.sections.curvature import MIN_RANK
from trainorder.curvature.probe_growth import FIXED, ProbedSize, ProbeGrowth

SIZE = ProbedSize(rank=40, pool=20, pooled=60, anchors=1, differentiated=5000)


def growth(left, pool=True, anchors=True):
    return ProbeGrowth(5000 + left, pool, anchors)


def test_the_largest_rank_is_what_the_check_leaves():
    assert growth(120 + 60 * 12).rounds(SIZE, check=120).most == 52
    assert growth(120 + 60 * 13 - 1).rounds(SIZE, check=120).most == 52
    assert growth(0).rounds(SIZE, check=120).most == SIZE.rank


def test_there_is_no_small_last_round():
    assert growth(120 + 60 * 10).rounds(SIZE, check=120).most == 50
    assert growth(120 + 60 * 9).rounds(SIZE, check=120).most == SIZE.rank


def test_the_smallest_rank_needs_no_budget():
    begun = replace(SIZE, rank=3)
    assert growth(0).rounds(begun, check=120).most == MIN_RANK


@pytest.mark.parametrize(("further", "pool"), [(3, None), (6, 26), (7, 26), (20, 40), (90, 40)])
def test_pools_grow_as_far_as_the_budget_and_at_most_double(further, pool):
    cost = (1 + SIZE.rank) * 3 * further  # of three clusters
    assert growth(cost).larger_pool(SIZE, clusters=3) == pool
    assert growth(cost, pool=False).larger_pool(SIZE, clusters=3) is None
    assert growth(cost).larger_pool(SIZE, clusters=0) is None, "all sequences are in the pools"


def test_probed_steps_grow_only_where_their_whole_cost_is_left():
    cost = 2 * (1 + SIZE.rank) * SIZE.pooled
    assert growth(cost).more_anchors(SIZE, steps=32) == 3
    assert growth(cost - 1).more_anchors(SIZE, steps=32) is None
    assert growth(cost).more_anchors(SIZE, steps=2) is None, "more anchors than steps"
    assert growth(cost, anchors=False).more_anchors(SIZE, steps=32) is None


def test_by_default_only_the_rank_grows():
    assert FIXED.is_fixed
    assert FIXED.larger_pool(SIZE, clusters=3) is FIXED.more_anchors(SIZE, steps=32) is None
