"""The Python interface of a finished study gives the estimates of the workflow."""

import json
from dataclasses import replace

import numpy as np
import pytest

from trainorder import Order, Study
from trainorder.data.metrics import is_loss
from trainorder.errors import UserError
from trainorder.evaluation.readouts import evaluate_readout
from trainorder.evaluation.verdict import selected_estimator

pytestmark = pytest.mark.study


@pytest.fixture(scope="module")
def opened(finished):
    return Study.open(finished.results)


@pytest.mark.parametrize(
    "estimator",
    ["nystrom@barycentre", "reduced", "order0@reference", "adjoint@barycentre"],
)
def test_an_order_of_the_study_is_estimated_as_the_workflow_did(opened, estimator):
    estimate = opened.estimate(opened.orders["random-0001"], estimator)
    known = opened.results.estimates[estimate.estimator]["random-0001"]
    for metric, value in estimate.values.items():
        assert value.value == pytest.approx(known[metric], abs=1e-5), f"{metric} differs"
        assert value.low <= value.value <= value.high
    assert estimate.verdict == opened.results.score(estimate.estimator)["verdict"]
    assert (estimate.parameters is None) == (estimator == "reduced" or "adjoint" in estimator)


@pytest.mark.parametrize(
    "estimator", [None, "subsample", "reduced", "constant", "order0@reference"]
)
def test_several_orders_are_estimated_as_each_alone(opened, monkeypatch, estimator):
    monkeypatch.setattr("trainorder.evaluation.replaying.BATCH_NUMBERS", 2 * opened.problem.size)
    orders = [opened.orders[name] for name in ("reversed", "random-0000", "reference")]
    together = list(opened.estimates(iter(orders), estimator))
    assert [estimate.order for estimate in together] == [order.name for order in orders]
    for order, estimate in zip(orders, together, strict=True):
        alone = opened.estimate(order, estimator)
        assert estimate.estimator == alone.estimator
        for metric, value in alone.values.items():
            assert estimate.values[metric].value == pytest.approx(value.value, abs=1e-6), metric
        if alone.parameters is not None:
            assert np.allclose(estimate.parameters, alone.parameters, atol=1e-6), (
                "orders of a batch affect each other"
            )
    assert list(opened.estimates([], estimator)) == []


def test_the_default_estimator_is_the_selected_one_of_those_for_further_orders(opened):
    def with_methods(methods):
        entries = [e for e in opened.config["estimators"] if e["method"] in methods]
        return replace(opened, config={**opened.config, "estimators": entries})

    assert opened.default_estimator == opened.results.validation["selected_estimator"]
    others = with_methods({"constant", "order0", "taylor1", "ridge", "proxy"})
    scores = {
        name: score
        for name, score in opened.results.validation["estimators"].items()
        if name.split("@")[0] in ("constant", "order0", "taylor1", "taylor1-tail2")
    }
    assert others.default_estimator == selected_estimator(scores)
    with pytest.raises(UserError, match="no estimator of this study can estimate further orders"):
        with_methods({"ridge", "proxy"}).estimate(opened.orders["reference"])


def test_a_name_instead_of_an_order_raises_one_line(opened):
    with pytest.raises(UserError, match=r"'reversed' is not an order; .*study\.orders"):
        opened.estimate("reversed")


def test_the_metrics_are_those_of_the_estimated_parameters(opened):
    estimate = opened.estimate(opened.orders["reversed"], "nystrom@barycentre")
    metrics = evaluate_readout(opened.problem, estimate.parameters[None], None)[0]
    assert [value.raw for value in estimate.values.values()] == metrics.tolist()
    assert list(estimate.values) == opened.metrics


def test_an_estimator_of_losses_gives_no_metric_of_the_task(opened):
    estimate = opened.estimate(opened.orders["reversed"], "reduced")
    assert list(estimate.values) == [name for name in opened.metrics if is_loss(name)]
    assert len(estimate.values) < len(opened.metrics)
    written = opened.results.estimates["reduced@barycentre"]["reversed"]
    assert list(written) == list(estimate.values), "estimates.csv has other metrics"


def test_an_order_of_the_user_is_read_checked_and_estimated(opened, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"name": "mine", "schedule": [5, 4, 3, 2, 1, 0]}))
    order = Order.from_json(file)
    assert np.isfinite(opened.estimate(order, "reduced").values["heldout"].value)
    file.write_text(json.dumps({"name": "mine", "schedule": [5, 4, 3, 2, 1, 1]}))
    with pytest.raises(UserError, match=r"'mine'.*not a permutation"):
        opened.estimate(Order.from_json(file), "reduced")


def test_retraining_gives_the_truth_of_the_study(opened):
    truth = opened.retrain(opened.orders["random-0000"])
    for metric, value in opened.results.truth["random-0000"].items():
        assert truth[metric] == pytest.approx(value, abs=1e-6)


def test_a_search_lowers_the_estimate_of_its_objective(opened):
    proposals = opened.search({"heldout/code": 1.0}, random=300, rounds=3)
    assert [p.score for p in proposals] == sorted(p.score for p in proposals)
    order = Order("best", "searched", "custom", proposals[0].schedule)
    raw = opened.estimate(order, "reduced").values["heldout/code"].raw
    assert raw == pytest.approx(proposals[0].score, abs=1e-5)
    reference = opened.estimate(opened.orders["reference"], "reduced")
    assert raw < reference.values["heldout/code"].raw


def test_maps_have_all_units_and_steps_and_are_zero_at_the_reference(opened):
    maps, reference = opened.maps(), opened.orders["reference"].schedule
    for quantity in ("own", "same", "other"):
        assert maps[quantity]["swap"].shape == (6, 6)
        unmoved = maps[quantity]["insertion"][reference[:, 0], np.arange(6)]
        assert np.nanmax(np.abs(unmoved)) < 1e-5, "a unit that does not move has an effect"


def test_an_unknown_estimator_or_no_study_raises_one_line(opened, tmp_path):
    with pytest.raises(UserError, match=r"no estimator `magic`.*nystrom@barycentre"):
        opened.estimate(opened.orders["reference"], "magic")
    with pytest.raises(UserError, match="more than one estimator `nystrom`"):
        opened.estimate(opened.orders["reference"], "nystrom")
    with pytest.raises(UserError, match="no finished study"):
        Study.open(tmp_path)
