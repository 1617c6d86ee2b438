"""A study that is opened in Python: what it returns, what it raises, and the memory it keeps."""

import json

import numpy as np
import pytest
import torch

import synthetic
from trainorder import Order, Study
from trainorder.errors import UserError
from trainorder.numerics import large_tensors, memory_budget

pytestmark = pytest.mark.slow


class ByPosition:
    """A reduced model of one domain, whose loss weighs each unit by its place."""

    goals = ("code",)

    def predict(self, schedules):
        flat = schedules.flatten(1).float()
        return (flat @ torch.arange(flat.shape[1]).float())[:, None]

    def units(self, schedules):
        return self.predict(schedules) + schedules.flatten(1)


@pytest.fixture
def study(tmp_path, monkeypatch):
    for name in ("most", "left"):  # `open` sets them for the whole process
        monkeypatch.setattr(memory_budget._Memory, name, getattr(memory_budget._Memory, name))
    files = synthetic.make(tmp_path, random=12, calibration=10)
    files.validate()
    opened = Study.open(files.results)
    units = opened.orders.reference.schedule.size
    vars(opened).update(reduced=ByPosition(), unit_domains=["code"] * units)
    return opened


def test_no_schedule_of_a_study_is_changed_in_place(study):
    for order in study.orders.values():
        before = order.schedule.copy()
        with pytest.raises(ValueError, match="read-only"):
            order.schedule[[0, -1]] = order.schedule[[-1, 0]]
        assert np.array_equal(order.schedule, before), f"{order.name} is another order now"
    changed = study.orders.reference.schedule.copy()
    changed[[0, -1]] = changed[[-1, 0]]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda study: study.orders["refrence"], "no order `refrence`.*did you mean `reference`"),
        (lambda study: study.orders["x"], "no order `x`.*expected one of reference, "),
        (lambda study: study.search({}), "gives no weights by metric"),
        (lambda study: study.search("heldout"), "'heldout' gives no weights by metric"),
        (lambda study: study.search({"heldout": 1.0}, random=0), "random: .* got 0"),
        (lambda study: study.search({"heldout": 1.0}, random=4), "random: .* at least 5 .* got 4"),
        (lambda study: study.search({"heldout/x": 1.0}, random=64), "no metric `heldout/x`"),
        (lambda study: study.estimate("reversed"), "'reversed' is not an order"),
        (
            lambda study: study.estimate(study.orders.reference, "x"),
            "no estimator `x`.*add it to `estimators`",
        ),
    ],
    ids=[
        *(
            "a name, nearly",
            "a name",
            "no metric",
            "no mapping",
            "no random orders",
            "too few of them",
        ),
        *("an unknown metric", "a name instead of an order", "an unknown estimator"),
    ],
)
def test_a_wrong_argument_raises_one_line(study, call, message):
    with pytest.raises(UserError, match=message) as error:
        call(study)
    assert "\n" not in str(error.value)


def test_a_search_and_maps_do_not_warn_about_read_only_schedules(study):
    [best, *_] = study.search({"heldout": 1.0}, random=64, rounds=2)
    assert best.schedule.shape == study.orders.reference.schedule.shape
    assert study.maps()


def test_an_opened_study_has_the_memory_limit_of_its_configuration(study):
    path = study.folder / "validation.json"
    record = json.loads(path.read_text())
    kept = [large_tensors.zeros(1000)]
    for gigabytes in (1e-5, 4):
        record["provenance"]["config"]["memory_gb"] = gigabytes
        path.write_text(json.dumps(record))
        Study.open(study.folder)
        mapped = len(large_tensors._files)
        kept.append(large_tensors.zeros(2000))
        in_files = len(large_tensors._files) - mapped
        assert in_files == (gigabytes < 1), f"{gigabytes} GB: earlier vectors count"


def test_a_job_that_opens_a_study_keeps_its_own_memory_limit(study):
    memory_budget.hold_at_most(1)
    Study.read(study.folder)
    assert memory_budget._Memory.most == 1e9


class EqualLosses:
    """A reduced model that predicts one loss for all orders and domains."""

    goals = tuple(name.partition("/")[2] for name in synthetic.METRICS[1:])

    def __init__(self, loss):
        self.loss = loss

    def predict(self, schedules):
        return torch.full((len(schedules), len(self.goals)), self.loss)


@pytest.fixture
def two_reduced(study):
    """Return a study with a reduced model about each path: 1.0 and 2.0 nats per token."""
    estimators = [{"method": "reduced", "path": path} for path in ("barycentre", "reference")]
    study.config = {**study.config, "estimators": estimators}
    scores = study.results.validation["estimators"]
    score = next(iter(scores.values()))
    scores.update({"reduced@barycentre": score, "reduced@reference": score})
    models = {"reduced@barycentre": EqualLosses(1.0), "reduced@reference": EqualLosses(2.0)}
    study._predictors.update(models)
    del vars(study)["reduced"]
    return study


def test_each_of_two_reduced_models_is_selected_by_its_name(two_reduced):
    for name, loss in (("reduced@barycentre", 1.0), ("reduced@reference", 2.0)):
        estimate = two_reduced.estimate(two_reduced.orders.reference, name)
        assert estimate.estimator == name
        assert estimate.values["heldout"].raw == loss, f"{name} is estimated by the other one"


def test_a_reduced_model_estimates_without_the_language_model(two_reduced):
    two_reduced.estimate(two_reduced.orders.reference, "reduced@barycentre")
    assert "problem" not in vars(two_reduced), "the language model and the corpus are loaded"


def test_searches_and_maps_use_the_reduced_model_on_the_barycentre_path(two_reduced):
    assert two_reduced.reduced.loss == 1.0


def test_an_ambiguous_method_raises_and_names_both_estimators(two_reduced):
    with pytest.raises(UserError, match="name one of reduced@barycentre, reduced@reference"):
        two_reduced.estimate(two_reduced.orders.reference, "reduced")


def test_the_package_offers_study_and_order():
    assert Order.__module__ == "trainorder.orders.order"
    assert Study.__module__ == "trainorder.study"
