"""The page is well-formed HTML for any names in the study."""

import json
import re
import statistics
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))

from low_rank_study import make_study
from trainorder.evaluation.estimate_cost import cost_text
from trainorder.evaluation.results import Results
from trainorder.explorer.page import (
    _SCRIPTS,
    _text_of,
    agreement,
    covered,
    embedded_json,
    page,
    retrained,
)
from trainorder.explorer.record import ESTIMATOR, menu, page_record

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "<!--",
    "]]>",
    "$record & 'quotes' \"\\u003c",
    "\u2028<b>",
]


class Scripts(HTMLParser):
    """The attributes and the text of each script element."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.open = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.open = tag == "script"
        if self.open:
            self.elements.append((dict(attrs), []))

    def handle_endtag(self, tag):
        self.open = False

    def handle_data(self, data):
        if self.open:
            self.elements[-1][1].append(data)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return Results.read(make_study(tmp_path_factory.mktemp("study")).results)


def data_of(results, name="a", searched=None):
    model = {"goals": [name], "readouts": [results.steps]}
    return page_record(model, results, [name] * 32, searched or {})


def sent(record):
    """Return a record as JSON makes it."""
    return json.loads(json.dumps(record))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_data(results, name):
    hostile = replace(results, validation={**results.validation, "study": name})
    order = {"schedule": [[0]], "kind": "searched", "truth": results.truth["reference"]}
    expected = data_of(hostile, name, {name: order})
    scripts = Scripts(page(expected, hostile)).elements
    assert len(scripts) == 1 + len(_SCRIPTS), "a name opened or closed a script element"
    attributes, data = scripts[0]
    assert attributes["id"] == "record"
    assert json.loads("".join(data)) == sent(expected)
    assert expected["orders"][name] == [0]


def test_the_page_says_how_many_intervals_miss_the_truth(results):
    coverage = results.validation["provenance"]["config"]["validation"]["coverage"]
    record = data_of(results)
    assert f"{100 * coverage:g} % interval" in page(record, results)
    measured = results.score(ESTIMATOR)["coverage"]["heldout"]["random"]
    count = record["coverage"]["heldout"]["random"]
    assert count["inside"] / count["n"] == pytest.approx(measured["value"])
    assert f"held-out loss ({count['inside']} of {count['n']});" in covered(record)


@pytest.mark.parametrize(("high", "judged"), [(0.8, "too narrow"), (0.95, "")])
def test_the_page_says_in_words_that_intervals_are_too_narrow(results, high, judged):
    covered = {"value": 0.7, "low": 0.5, "high": high, "n": 12}
    score = results.score(ESTIMATOR)
    coverage = {metric: {"random": covered} for metric in score["coverage"]}
    estimators = {
        **results.validation["estimators"], ESTIMATOR: {**score, "coverage": coverage}
    }  # fmt: skip
    narrow = replace(results, validation={**results.validation, "estimators": estimators})
    record = data_of(narrow)
    assert record["coverage"]["heldout"]["random"]["judged"] == judged
    shown = page(record, narrow).partition('id="record"')[0]
    assert ("so they are too narrow here" in shown) == bool(judged)


def test_the_page_states_the_cost_of_its_estimates(results):
    assert cost_text(results.validation, ESTIMATOR) in page(data_of(results), results)


def test_the_page_does_not_depend_on_how_long_the_study_took(results):
    """Two studies with the same numbers have the same page, on machines of any speed."""
    slow = {
        name: {**score, "cost": {**score["cost"], "seconds_per_order": 1234.5}}
        for name, score in results.validation["estimators"].items()
    }
    slower = replace(results, validation={**results.validation, "estimators": slow})
    assert page(data_of(slower), slower) == page(data_of(results), results)


def test_without_intervals_the_page_says_so():
    record = {"names": {"heldout": "held-out loss"}, "coverage": {"heldout": {"random": None}}}
    assert "too few calibration orders" in covered(record)


def test_the_page_says_how_its_estimates_differ_from_the_selected_ones(results):
    selected = replace(results, validation={**results.validation, "selected_estimator": ESTIMATOR})
    assert "is the study's selected estimator" in agreement(selected)
    other = replace(
        results, validation={**results.validation, "selected_estimator": "nystrom@barycentre"}
    )
    shared = [name for name, order in results.orders.items() if order["split"] == "calibration"]
    estimates = results.estimates
    apart = [
        abs(
            estimates[ESTIMATOR][name]["heldout"] - estimates["nystrom@barycentre"][name]["heldout"]
        )
        for name in shared
    ]
    text = agreement(other)
    assert f"On {len(shared)} calibration orders" in text
    assert f"{sum(apart) / len(apart):.2g} nats per token on average" in text
    assert f"{max(apart):.2g} at most" in text
    none = replace(results, validation={**results.validation, "selected_estimator": None})
    assert agreement(none) == "The study selected no estimator."


def test_the_documentation_states_when_a_search_ends():
    text = (Path(__file__).parents[2] / "docs/share.md").read_text(encoding="utf-8")
    number = {
        name: re.search(rf"const {name} = (\d+);", "".join(map(_text_of, _SCRIPTS)))[1]
        for name in ("UNCHANGED", "LONGEST_WAIT", "RESTARTS")
    }
    seconds = int(number["LONGEST_WAIT"]) // 1000
    words = f"{number['UNCHANGED']} orders in a row, or {seconds} seconds, bring no better order"
    rest = f"or when {number['RESTARTS']} restarts near the best order do not"
    assert f"{words}, {rest}" in " ".join(text.split())


def test_the_page_says_which_orders_were_retrained():
    groups = {"reference": "reference", "a": "searched", "b": "searched", "c": "custom"}
    record = {
        "groups": {**groups, "r": "random", "s": "random"},
        "truth": dict.fromkeys(("reference", "a", "b", "r")),
        "random": ["r"],
    }
    text = retrained(record)
    assert (
        "1 reference, 2 searched (lines in the plots); random orders: 1 held-back (dots)." in text
    ), text


def test_every_order_in_the_plots_is_in_the_menu_and_none_is_for_fitting(results):
    record = data_of(results)
    splits = {results.orders[name]["split"] for name in record["random"]}
    assert splits == {"random", "calibration"}
    assert set(record["random"]) <= set(record["truth"]) <= set(record["orders"])
    counts = [sum(order["split"] == split for order in results.orders.values()) for split in splits]
    assert len(record["random"]) == sum(counts), "a random order has no dot"


def test_there_is_one_spread_the_one_of_the_held_back_random_orders(results):
    record = data_of(results)
    for metric, spread in record["spread"].items():
        assert spread["std"] == results.validation["spread"][metric]["random"]["std"]
    assert record["objective"]["spread"] == record["spread"]["heldout"]


def test_the_spread_of_a_weighted_objective_is_that_of_its_values(results):
    terms = [{"metric": metric, "weight": 0.5} for metric in list(results.metrics)[:2]]
    config = {
        **results.validation["provenance"]["config"],
        "curriculum": {"objective": terms, "readouts": 1},
    }
    provenance = {**results.validation["provenance"], "config": config}
    weighted = replace(results, validation={**results.validation, "provenance": provenance})
    values = [
        sum(0.5 * results.truth[name][term["metric"]] for term in terms)
        for name, order in results.orders.items()
        if order["split"] == "random"
    ]
    spread = data_of(weighted)["objective"]["spread"]
    assert spread["std"] == pytest.approx(statistics.stdev(values))


@pytest.mark.parametrize("run", [None, {"recording": "run"}])
def test_the_reference_order_of_an_existing_run_is_not_taken_for_a_random_one(results, run):
    config = {**results.validation["provenance"]["config"], "run": run}
    provenance = {**results.validation["provenance"], "config": config}
    own = replace(results, validation={**results.validation, "provenance": provenance})
    assert ("reference" in data_of(own)["drawn"]) == (run is None)


def test_the_page_shows_only_losses(results):
    """The reduced model does not estimate the accuracy of a multiple-choice task."""
    score = results.score(ESTIMATOR)
    more = {
        key: {**score[key], "choice_accuracy": score[key]["heldout"]}
        for key in ("recalibration", "calibrated_range")
    }
    estimators = {**results.validation["estimators"], ESTIMATOR: {**score, **more}}
    truth = {name: {**values, "choice_accuracy": 0.5} for name, values in results.truth.items()}
    validation = {**results.validation, "estimators": estimators}
    shown = data_of(replace(results, validation=validation, truth=truth))
    for key in ("recalibration", "range", "referenceEstimates"):
        assert set(shown[key]) == set(score["recalibration"]), f"{key} is not only of losses"
    assert "choice_accuracy" not in shown["truth"]["reference"]


def test_the_search_of_the_page_has_the_objective_and_the_constraints_of_the_study(results):
    config = {
        **results.validation["provenance"]["config"],
        "curriculum": {
            "objective": [{"metric": "heldout", "weight": 2.0}],
            "readouts": 2,
            "pinned": [{"unit": 3, "step": 1}],
            "quotas": [{"domain": "a", "first": 0, "last": 4}],
            "furthest": 5,
        },
    }
    provenance = {**results.validation["provenance"], "config": config}
    constrained = replace(results, validation={**results.validation, "provenance": provenance})
    half = results.steps // 2
    model = {"goals": ["a"], "readouts": [half, half + 1, results.steps]}
    shown = page_record(model, constrained, ["a"] * 32, {})
    assert shown["objective"]["weights"] == {"heldout": 2.0}
    assert shown["objective"]["places"] == [0, 2]
    assert shown["rules"]["pinned"] == [{"unit": 3, "step": 1}]
    assert shown["rules"]["quotas"] == [
        {"domain": "a", "first": 0, "last": 4, "least": 0, "most": None}
    ]
    assert shown["rules"]["furthest"] == 5


@pytest.mark.parametrize("name", HOSTILE)
def test_embedded_json_has_no_markup(name):
    text = embedded_json({name: name})
    assert "<" not in text
    assert json.loads(text) == {name: name}


def test_a_searched_order_is_not_shown_with_the_truth_of_a_custom_one_of_its_name():
    own = [
        {"name": "reference", "split": "reference", "schedule": [[0], [1]]},
        {"name": "best", "split": "custom", "schedule": [[1]]},
    ]
    searched = {
        name: {"schedule": [[unit]], "kind": "searched"} for name, unit in (("best", 0), ("c", 2))
    }
    shown = {name: order["schedule"] for name, order in menu(own, searched).items()}
    assert shown["best"] == [[1]], "the truth of the custom order is shown with the searched one"
    assert shown["best (searched)"] == [[0]]
    assert shown["c"] == [[2]]
    assert next(iter(shown)) == "reference"
