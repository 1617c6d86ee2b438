"""Leave-out orders of a finished study: what is compared, and how it is scored."""

import numpy as np
import pytest

from bench import leave_out
from bench.leave_out_page import markdown
from trainorder.orders.order import Order
from trainorder.orders.order_book import OrderBook
from trainorder.study import Estimate, Value

SETTINGS = {"resamples": 200, "confidence": 0.95}
UNITS = 8


class FakeStudy:
    """A study in which a unit lowers the loss by its number; `exact` knows it, `noisy` does not."""

    def __init__(self):
        schedule = np.arange(UNITS)[:, None]
        self.unit_domains = ["a"] * UNITS
        self.orders = OrderBook(
            [Order("reference", "reference", "reference", schedule)], unit_domains=["a"] * UNITS
        )
        entries = [("constant", 0), ("order0", 0), ("adjoint", 0), ("taylor1", 0.2)]
        names = [f"{method}@reference" for method, _ in entries]
        self.costs = {
            name: {"precompute_retrainings": 1.0, "per_order_retrainings": cost}
            for name, (_, cost) in zip(names, entries, strict=True)
        }
        self.config = {
            "estimators": [{"method": m, "path": "reference"} for m, _ in entries]
            + [{"method": "ridge"}],
            "validation": SETTINGS,
        }
        self.costs["ridge"] = self.costs["order0@reference"]
        self.results = self
        self.truth = {"reference": {"heldout": self.loss(schedule)}}
        self.validation = {"study": "fake"}
        self.retrainings = 0

    def score(self, name):
        return {"cost": self.costs[name]}

    def loss(self, schedule):
        return 10.0 - float(schedule.sum()) / 100

    def retrain(self, order):
        self.retrainings += 1
        return {"heldout": self.loss(order.schedule)}

    def estimates(self, orders, name):
        rng = np.random.default_rng(0)
        for order in orders:
            exact = name.startswith("adjoint")
            raw = self.loss(order.schedule) + 3.0 if exact else rng.normal()
            value = Value(raw, raw, None, None, None)
            yield Estimate(order.name, name, {"heldout": value}, "trusted", "", None)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(leave_out, "FOLDER", tmp_path)
    return FakeStudy()


def test_an_exact_estimator_has_no_error_and_the_level_of_an_estimator_does_not_count(study):
    record = leave_out.compared(study)
    assert list(record["effects"]) == ["1", "4"], "an eighth and a 32nd of 8 units are both one"
    for scores in record["estimators"]["adjoint@reference"].values():
        assert scores["lds"]["value"] == 1
        assert scores["relative_error"] < 1e-9
    assert record["estimators"]["order0@reference"]["4"]["relative_error"] > 1
    text = markdown(record)
    assert "| `adjoint@reference` | 1 + 0 | 1 [1, 1] | 1 [1, 1] |" in text
    assert "4 units left out" in text


def test_estimators_that_are_expensive_or_ignore_the_order_are_not_compared(study):
    assert leave_out.estimators_of(study) == ["order0@reference", "adjoint@reference"]


def test_retrained_orders_are_kept(study):
    leave_out.compared(study)
    assert study.retrainings == len(kept(study)) > leave_out.COUNT
    leave_out.compared(study)
    assert study.retrainings == len(kept(study)), "an order is retrained twice"


def kept(study):
    schedules = [o.schedule.tobytes() for g in leave_out.groups_of(study).values() for o in g]
    return set(schedules)


def test_scores_are_those_of_the_effects():
    true = np.array([0.1, 0.3, -0.2, 0.4])
    scores = leave_out.scores(true * [1, 0.5, 1, 1], true, SETTINGS)
    assert scores["relative_error"] == pytest.approx(0.15 / 1.0)
    assert scores["lds"]["n"] == 4
