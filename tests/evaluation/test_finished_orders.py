"""Outcomes of finished orders replace their training, and their costs stay counted."""

import numpy as np
import pytest

from problems import HORIZON, language_problem, optimizer_config, warm_state
from trainorder.evaluation import retraining
from trainorder.evaluation.finished_orders import FinishedOrders
from trainorder.evaluation.retraining import TrainingSetup, retrain_orders
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order import Order
from trainorder.training.checkpoints import Checkpoints

REFERENCE = np.arange(6)[:, None]
ORDERS = [Order(f"random-{i}", "random", "random", np.roll(REFERENCE, i, axis=0)) for i in range(3)]


class KilledError(Exception):
    """The job was killed."""


def retrained(folder, monkeypatch, killed_at=None):
    """Return the outcome of a job, its meter and the names of the orders that it trained."""
    problem, config = language_problem(), optimizer_config(learning_rate=1e-3)
    warm = warm_state(problem, problem.model.parameters(), config)
    trained, train = [], retraining.train

    def watched(*arguments, **settings):
        if len(trained) == killed_at:
            raise KilledError
        trained.append(settings["label"].removeprefix("order "))
        return train(*arguments, **settings)

    setup = TrainingSetup(
        warm,
        config,
        HORIZON,
        [len(REFERENCE)],
        lambda order, readout: Checkpoints(folder, f"{order}-{readout}", 2),
        finished=FinishedOrders(folder / "finished", "key", problem.meter),
    )
    sketch = SparseJL(problem.size, 16)
    with monkeypatch.context() as patch:
        patch.setattr(retraining, "train", watched)
        try:
            outcome = retrain_orders(
                problem,
                ORDERS,
                setup,
                followed=["random-0"],
                sketch=sketch,
                units={"random-1": [2]},
            )
        except KilledError:
            outcome = None
    return outcome, problem.meter.as_dict(), trained


@pytest.mark.parametrize("damage", [None, 600])
def test_a_killed_job_trains_only_the_orders_that_were_not_finished(tmp_path, monkeypatch, damage):
    whole, costs, _ = retrained(tmp_path / "whole", monkeypatch)
    folder = tmp_path / "killed"
    assert retrained(folder, monkeypatch, killed_at=2)[0] is None
    if damage:
        file = folder / "finished/1.h5"
        file.write_bytes(file.read_bytes()[:damage])
    resumed, counted, trained = retrained(folder, monkeypatch)
    assert trained == (["random-1", "random-2"] if damage else ["random-2"])
    assert resumed.keys() == whole.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(resumed[name], values, err_msg=f"resuming changed {name}")
    assert counted["counts"] == costs["counts"], "passes of finished orders are not counted"
    assert counted["orders"] == costs["orders"] == 3
    assert counted["seconds"]["training"] > 0


def test_the_seconds_of_finished_orders_are_counted_once(tmp_path, monkeypatch):
    _, first, _ = retrained(tmp_path, monkeypatch)
    _, again, trained = retrained(tmp_path, monkeypatch)
    assert trained == []
    for span in ("training", "evaluation"):
        assert again["seconds"][span] == pytest.approx(first["seconds"][span])


def test_no_state_of_a_finished_order_is_kept(tmp_path, monkeypatch):
    """The last states of all orders together can fill the disk."""
    retrained(tmp_path, monkeypatch)
    assert sorted(path.name for path in tmp_path.rglob("*.h5")) == ["0.h5", "1.h5", "2.h5"]
