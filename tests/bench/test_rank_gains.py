"""Differences of order-LDS are paired: both estimators are ranked on the same orders."""

from dataclasses import replace

import numpy as np
import pytest

from bench.paired import RESAMPLES, difference_interval, resampled_orders
from bench.rank_gains import rank_gains
from trainorder.evaluation.results import Results

OURS = "nystrom@barycentre"


@pytest.fixture
def results(synthetic_study):
    return replace(Results.read(synthetic_study.results), ladder={"estimator": OURS})


def test_a_gain_is_the_difference_of_the_order_lds_of_the_study(results):
    gains = rank_gains(results)
    assert len(gains) > 3
    own = results.score(OURS)["order_lds"]["heldout"]["random"]
    for name, gain in gains.items():
        other = results.score(name)["order_lds"]["heldout"]["random"]
        assert gain["n"] == other["n"], f"{name} is not compared on its own random orders"
        if other["n"] == own["n"] and other["value"] is not None:
            assert gain["value"] == pytest.approx(own["value"] - other["value"]), name
            assert gain["low"] <= gain["value"] <= gain["high"], name


def test_an_estimator_of_few_orders_is_compared_on_these(results):
    gains = rank_gains(results)
    assert 3 <= gains["taylor1@barycentre"]["n"] < gains["reduced@barycentre"]["n"]


def test_a_clearly_worse_estimator_excludes_a_tie_and_a_copy_is_one(results):
    copy = {**results.raw, "reduced@barycentre": results.raw[OURS]}
    gains = rank_gains(replace(results, raw=copy))
    assert gains["reduced@barycentre"] == {"value": 0.0, "low": 0.0, "high": 0.0, "n": 48}
    assert gains["order0@reference"]["low"] > 0


def test_only_other_estimators_that_rank_orders_have_a_gain(results):
    gains = rank_gains(results)
    assert OURS not in gains
    assert "constant@reference" not in gains
    assert rank_gains(replace(results, ladder=None)) == {}


def test_the_first_resample_is_the_sample_itself():
    index = resampled_orders(5)
    assert index.shape == (1 + RESAMPLES, 5)
    assert index[0].tolist() == [0, 1, 2, 3, 4]
    assert (index == resampled_orders(5)).all(), "two estimators have different resamples"


def test_resamples_without_a_value_are_dropped_and_a_sample_without_one_has_no_interval():
    assert difference_interval(np.array([0.5, 0.4, np.nan, 0.6]), 3).low == pytest.approx(0.405)
    assert difference_interval(np.array([np.nan, 0.4]), 3) == (None, None, None, 3)
