"""The results of curriculum and memorization match retrainings of the smoke study."""

import json

import h5py
import numpy as np
import pytest

from trainorder.curriculum.constraints import Constraints, Quota
from trainorder.memorization.moves import swapped
from trainorder.memorization.poisoned import poisoned_cells
from trainorder.orders.order import Order
from trainorder.orders.order_book import OrderBook
from trainorder.study import Study

pytestmark = pytest.mark.study


@pytest.fixture(scope="module")
def curriculum(finished):
    return json.loads((finished.results / "curriculum.json").read_text())


def test_searched_orders_meet_the_constraints_of_the_configuration(finished):
    orders = OrderBook.load(finished.results / "orders.json")
    constraints = Constraints(
        orders.reference.schedule,
        orders.unit_domains,
        {0: 5},
        [Quota("code", 0, 2, least=1)],
        5,
    )
    winners = json.loads((finished.results / "curriculum/winners.json").read_text())["orders"]
    schedules = np.array([order["schedule"] for order in winners])
    assert not constraints.violations(schedules).any()


def test_the_winner_is_the_searched_order_with_the_lowest_truth(curriculum):
    true = {o["name"]: o["true"] for o in curriculum["orders"] if o["kind"] == "searched"}
    judged = {name: value for name, value in true.items() if value is not None}
    assert curriculum["winner"] == min(judged, key=judged.get)
    assert len(judged) <= 2, "more orders were retrained than configured"


def test_the_winners_file_contains_orders_of_the_study(finished, curriculum):
    file = finished.results / "curriculum/winners.json"
    winners = json.loads(file.read_text())["orders"]
    assert winners[0]["name"] == curriculum["winner"]
    study = Study.open(finished.results)
    order = study.orders["reference"]
    for winner in winners:
        assert sorted(np.ravel(winner["schedule"])) == sorted(order.schedule.ravel())


def test_the_true_objective_is_the_mean_of_the_readouts(finished, curriculum):
    with h5py.File(finished.results / "truth/0.h5") as file:
        names = [str(name) for name in file["order"].asstr()[()]]
        metrics = [str(name) for name in file["metric"].asstr()[()]]
        along = file["along"][()]
    assert along.shape[1] == 2, "the configuration asks for two readouts"
    weights = [curriculum["objective"].get(metric, 0.0) for metric in metrics]
    expected = dict(zip(names, (along @ weights).mean(axis=1), strict=True))
    common = expected.keys() & curriculum["random"]["true"].keys()
    assert common
    for name in common:
        assert curriculum["random"]["true"][name] == pytest.approx(expected[name])


def test_true_cells_are_the_sampled_ones_and_come_from_retraining(finished):
    cells = json.loads((finished.results / "memorization/positions.json").read_text())["cells"]
    with h5py.File(finished.results / "memorization.h5") as file:
        maps = {name: file[name][()] for name in file}
    drawn = np.zeros((6, 6), dtype=bool)
    study = Study.open(finished.results)
    drawn[tuple(np.array([*cells, *poisoned_cells(study.unit_domains, 6)]).T)] = True
    for way in ("swap", "insertion", "presence"):
        assert np.array_equal(np.isfinite(maps[f"true_own_{way}"]), drawn)
        assert np.isfinite(maps[f"estimated_own_{way}"]).all()
    unit, step = cells[0]
    order = study.orders["reference"]
    moved = Order("moved", "swap", "custom", swapped(order.schedule, unit, step))
    domain = study.unit_domains[unit]
    effect = study.retrain(moved)[f"heldout/{domain}"] - study.retrain(order)[f"heldout/{domain}"]
    assert maps["true_same_swap"][unit, step] == pytest.approx(effect, abs=1e-6)
