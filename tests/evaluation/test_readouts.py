"""Estimates without parameters have the shape of a replay's."""

import numpy as np

from trainorder.evaluation.readouts import outcome_without_parameters
from trainorder.orders.order import Order

ORDERS = [Order(f"o{i}", "random", split, np.zeros((5, 2))) for i, split in enumerate(["fit", "x"])]


def test_estimates_have_values_and_no_parameters():
    found = outcome_without_parameters(ORDERS, ["heldout"], np.ones((2, 1)), 16)
    assert found["order"] == ["o0", "o1"]
    assert found["sketch"].shape == (2, 16)
    assert np.isnan(found["sketch"]).all()
    assert found["trajectory"].shape == (0, 6, 16)
