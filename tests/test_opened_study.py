"""What a study hands out is not changed by whoever takes it."""

import numpy as np
import pytest
import torch

import synthetic
from trainorder import Study


class ByPosition:
    """A reduced model of one domain, whose losses weigh each unit by its place."""

    goals = ("code",)

    def predict(self, schedules):
        flat = schedules.flatten(1).float()
        return (flat @ torch.arange(flat.shape[1]).float())[:, None]

    def units(self, schedules):
        return self.predict(schedules) + schedules.flatten(1)


@pytest.fixture
def study(tmp_path):
    made = synthetic.make(tmp_path, random=12, calibration=10)
    made.validate()
    opened = Study.open(made.results)
    units = opened.orders["reference"].schedule.size
    vars(opened).update(reduced=ByPosition(), unit_domains=["code"] * units)
    return opened


def test_no_schedule_of_a_study_is_changed_in_place(study):
    for order in study.orders.values():
        kept = order.schedule.copy()
        with pytest.raises(ValueError, match="read-only"):
            order.schedule[[0, -1]] = order.schedule[[-1, 0]]
        assert np.array_equal(order.schedule, kept), f"{order.name} is another order now"
    changed = study.orders["reference"].schedule.copy()
    changed[[0, -1]] = changed[[-1, 0]]


@pytest.mark.filterwarnings("error")
def test_a_search_and_maps_do_not_warn_of_schedules_that_are_read_only(study):
    [best, *_] = study.search({"heldout": 1.0}, random=64, rounds=2)
    assert best.schedule.shape == study.orders["reference"].schedule.shape
    assert study.maps()
