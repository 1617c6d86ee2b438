"""Estimates without parameters have the arrays of a replay."""

import numpy as np

from trainorder.evaluation.outcome_arrays import outcome_without_parameters
from trainorder.orders.order import Order

ORDERS = [Order(f"o{i}", "random", split, np.zeros((5, 2))) for i, split in enumerate(["fit", "x"])]


def test_estimates_have_values_and_no_parameters():
    arrays = outcome_without_parameters(ORDERS, ["heldout"], np.ones((2, 1)), 16)
    assert arrays["order"] == ["o0", "o1"]
    assert arrays["sketch"].shape == (2, 16)
    assert np.isnan(arrays["sketch"]).all()
    assert arrays["trajectory"].shape == (0, 6, 16)
