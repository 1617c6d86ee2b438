"""Estimates without parameters have the shape of a replay's."""

import numpy as np

from trainorder.evaluation.readouts import outcome_without_parameters
from trainorder.orders.order import Order
from trainorder.orders.order_book import fit_orders

ORDERS = [Order(f"o{i}", "random", split, np.zeros((5, 2))) for i, split in enumerate(["fit", "x"])]


def test_only_the_split_to_fit_on_is_fitted_on():
    assert [order.name for order in fit_orders(ORDERS)] == ["o0"]


def test_estimates_have_values_and_no_parameters():
    found = outcome_without_parameters(ORDERS, ["heldout"], np.ones((2, 1)), 16)
    assert found["order"] == ["o0", "o1"]
    assert found["sketch"].shape == (2, 16)
    assert np.isnan(found["sketch"]).all()
    assert found["trajectory"].shape == (0, 6, 16)
