"""What a study hands out is not changed by whoever takes it."""

import json

import numpy as np
import pytest
import torch

import synthetic
from trainorder import Study
from trainorder.errors import UserError
from trainorder.numerics import memory, vectors


class ByPosition:
    """A reduced model of one domain, whose losses weigh each unit by its place."""

    goals = ("code",)

    def predict(self, schedules):
        flat = schedules.flatten(1).float()
        return (flat @ torch.arange(flat.shape[1]).float())[:, None]

    def units(self, schedules):
        return self.predict(schedules) + schedules.flatten(1)


@pytest.fixture
def study(tmp_path, monkeypatch):
    for name in ("most", "left"):  # which opening sets
        monkeypatch.setattr(memory._Memory, name, getattr(memory._Memory, name))
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
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda study: study.orders["refrence"], "no order `refrence`.*did you mean `reference`"),
        (lambda study: study.orders["x"], "no order `x`.*there are reference, "),
        (lambda study: study.search({}), "weighs no metric"),
        (lambda study: study.search("heldout"), "'heldout' weighs no metric"),
        (lambda study: study.search({"heldout": 1.0}, random=0), "random: 0 orders"),
        (lambda study: study.search({"heldout/x": 1.0}, random=64), "no metric `heldout/x`"),
    ],
    ids=["a name, nearly", "a name", "nothing", "no mapping", "no random orders", "a metric"],
)
def test_what_is_asked_for_and_is_not_there_is_one_line(study, call, message):
    with pytest.raises(UserError, match=message) as error:
        call(study)
    assert "\n" not in str(error.value)


def test_a_search_and_maps_do_not_warn_of_schedules_that_are_read_only(study):
    [best, *_] = study.search({"heldout": 1.0}, random=64, rounds=2)
    assert best.schedule.shape == study.orders["reference"].schedule.shape
    assert study.maps()


def test_a_study_that_is_opened_holds_what_its_configuration_says(study):
    path = study.folder / "validation.json"
    record = json.loads(path.read_text())
    held = [vectors.zeros(1000)]
    for gigabytes in (1e-5, 4):
        record["provenance"]["config"]["memory_gb"] = gigabytes
        path.write_text(json.dumps(record))
        Study.open(study.folder)
        mapped = len(vectors._files)
        held.append(vectors.zeros(2000))
        in_files = len(vectors._files) - mapped
        assert in_files == (gigabytes < 1), f"of {gigabytes} GB, those held before do not count"


def test_a_job_that_opens_a_study_holds_what_it_was_told(study):
    memory.hold_at_most(1)
    Study.read(study.folder)
    assert memory._Memory.most == 1e9
