"""The page is well-formed HTML for any names in the study."""

import json
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))

from low_rank_study import make_study
from trainorder.evaluation.results import Results
from trainorder.explorer.page import embedded_json, offered, page

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


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_data(results, name):
    model = SimpleNamespace(
        goals=[name], averaged_states=None, at_end=lambda: {"losses": np.zeros(2)}
    )
    hostile = replace(results, validation={**results.validation, "study": name})
    text = page(model, hostile, [name] * 32, {name: [[0]]})
    scripts = Scripts(text).elements
    assert len(scripts) == 4, "a name opened or closed a script element"
    attributes, data = scripts[0]
    assert attributes["id"] == "record"
    record = json.loads("".join(data))
    assert record["orders"][name] == [[0]]
    assert record["unit_domains"] == [name] * 32
    assert record["model"]["goals"] == [name]


def test_the_page_says_how_many_intervals_miss_the_truth(results):
    model = SimpleNamespace(
        goals=["heldout"], averaged_states=None, at_end=lambda: {"losses": np.zeros(1)}
    )
    coverage = results.validation["provenance"]["config"]["validation"]["coverage"]
    text = page(model, results, ["a"] * 32, {})
    assert f"{100 * coverage:g} % interval" in text
    assert f"about {100 - 100 * coverage:g} of 100 intervals miss" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_embedded_json_has_no_markup(name):
    text = embedded_json({name: name})
    assert "<" not in text
    assert json.loads(text) == {name: name}


def test_a_searched_order_is_not_shown_with_the_truth_of_a_custom_one_of_its_name():
    custom = [{"name": "reference", "schedule": [[0], [1]]}, {"name": "best", "schedule": [[1]]}]
    menu = offered(custom, {"best": [[0]], "second": [[2]]})
    assert menu["best"] == [[1]], "the truth of the custom order is shown with the searched one"
    assert menu["best (searched)"] == [[0]]
    assert menu["second"] == [[2]]
