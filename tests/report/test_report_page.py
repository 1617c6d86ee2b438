"""The report answers the questions of a first reader with the numbers of the result files."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import synthetic
from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.evaluation.results import Results
from trainorder.explorer.domain_marks import domain_marks
from trainorder.figures.catalogue import CATALOGUE, EXPLORER, SECTIONS
from trainorder.figures.drawing import drawn_of
from trainorder.report.best_order import best_order_answer
from trainorder.report.document import write_report
from trainorder.report.estimators import accuracy_text, break_even, cost_text, estimator_text
from trainorder.report.first_page import answers
from trainorder.report.numbers import short, with_interval
from trainorder.report.order_strip import order_strip
from trainorder.report.positions import position_answer
from trainorder.report.setting import setting
from trainorder.training.learning_rates import learning_rate

PIXEL = bytes.fromhex("89504e470d0a1a0a")  # the begin of a PNG file, for pages that nobody looks at


class Page(HTMLParser):
    """The addresses, headings and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.headings, self.text, self.tags = [], [], "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "style":
            return
        self.text += data
        if self.tags and self.tags[-1] == "h2" and data.strip():
            self.headings.append(data.strip())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    study = synthetic.make(tmp_path_factory.mktemp("study"), random=12, calibration=10)
    study.validate()
    (study.results / "explorer.html").write_text("")
    (study.results / "figures").mkdir()
    for name in CATALOGUE:
        (study.results / "figures" / f"{name}.png").write_bytes(PIXEL)
    return study.results


@pytest.fixture(scope="module")
def results(folder):
    return Results.read(folder)


@pytest.fixture(scope="module")
def pages(folder, results):
    """Return the report and its first page."""
    files = folder / "report.html", folder / "figures/first_page.html"
    write_report(folder, drawn_of(results), *files)
    return [Page(file.read_text(encoding="utf-8")) for file in files]


def test_the_first_page_names_verdict_estimator_costs_and_best_order(results, pages):
    shown = " ".join(pages[1].text.split())
    validation = results.validation
    selected = results.score(validation["selected_estimator"])
    best = results.score(validation["best_estimator"])
    expected = [
        f"Verdict of the study: {validation['verdict']}. It is that of its most accurate "
        f"estimator, {validation['best_estimator']}: {best['verdict_reason']}",
        f"Use {validation['selected_estimator']}",
        f"{short(selected['cost']['precompute_retrainings'])} retrainings once",
        f"order-LDS {with_interval(selected['order_lds']['heldout']['random'])}",
        f"growth {validation['predictability']['growth']['value']:.2f}",
        results.curriculum["winner"],
        "0.020 nats per token (2 spreads) over this mean",
    ]
    for text in expected:
        assert text in shown, f"the first page does not say `{text}`"


def test_the_effect_of_the_order_is_that_of_the_truth(results):
    first = answers(results)[0]
    spread = results.validation["spread"]["heldout"]["random"]
    true = [v["heldout"] for name, v in results.truth.items() if results.split(name) == "random"]
    assert f"between {min(true):.4f} and {max(true):.4f}" in first.sentences[0]
    share = 100 * (max(true) - min(true)) / spread["mean"]
    assert f"up to {share:.2g} % of the held-out loss" in first.sentences[0]


def test_the_best_and_the_worst_order_are_those_of_all_that_are_not_random(results):
    """Candidates of a search count if it lowered the held-out loss at the end."""
    order = {"name": "long-to-short", "kind": "field", "search": {}, "estimates": {}, "true": 99.0}
    content = {
        **results.curriculum, "objective": {"heldout": 1.0}, "readouts": 1,
        "orders": [*results.curriculum["orders"], order],
    }  # fmt: skip
    shown = answers(replace(results, curriculum=content))[0].sentences[1]
    assert "`long-to-short` the worst" in shown
    shown = answers(replace(results, curriculum={**content, "readouts": 4}))[0].sentences[1]
    assert "long-to-short" not in shown, "its objective is no loss at the end of the window"


def test_every_usable_estimator_is_named_with_what_it_is_and_its_whole_cost(results):
    shown = " ".join(answers(results)[2].sentences)
    verdict = results.score(results.validation["selected_estimator"])["verdict"]
    usable = [n for n in results.estimators if results.score(n)["verdict"] == verdict]
    assert len(usable) > 1
    for name in usable:
        assert name in shown
        assert estimator_text(name) in shown
        assert f"It costs {cost_text(results, name)}. {accuracy_text(results, name)}" in shown
    calibration = results.validation["orders"]["calibration"]
    assert f"here {calibration} retrainings" in shown, "the calibration orders are not free"


def test_costs_are_named_part_by_part(results):
    name = results.validation["selected_estimator"]
    parts = {
        "precompute_retrainings": 15.2, "selection_retrainings": 11.4,
        "per_order_retrainings": 0.25, "evaluation_retrainings": 0.02, "seconds_per_order": 3.0,
    }  # fmt: skip
    score = {**results.score(name), "cost": parts}
    validation = {**results.validation, "estimators": {name: score}, "orders": {"calibration": 40}}
    changed = replace(results, validation=validation)
    assert cost_text(changed, name) == (
        "15 retrainings once, 11 to choose its size or rank, 0.25 per order (3 s), "
        "0.02 to evaluate an order"
    )
    assert break_even(changed, name) == pytest.approx((40 + 15.2 + 11.4) / 0.75)
    score["cost"] = {**parts, "per_order_retrainings": 2.0}
    assert break_even(changed, name) is None


def test_the_share_of_true_losses_inside_the_intervals_is_counted(results):
    name = results.validation["selected_estimator"]
    covered = results.score(name)["coverage"]["heldout"]["random"]
    inside = round(covered["value"] * covered["n"])
    assert f"contain {inside} of {covered['n']}" in accuracy_text(results, name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("fut-unguarded@reference", "with no bound on its corrections"),
        ("fut@reference", "with a bound on its corrections"),
        ("corrected8-runs24@reference", "8 sequences of a unit; up to 24 known runs"),
        ("recency-tail8@barycentre", "the last 8 steps"),
    ],
)
def test_estimators_of_one_method_are_told_apart_by_their_settings(name, says):
    assert says in estimator_text(name)


def test_the_page_says_what_was_trained_before_the_first_number(results):
    units = ["drama", "code", "drama"]
    text = setting(results, units)
    assert "32 steps that follow" in text
    assert "8 sequences of 16 tokens" in text
    assert "code (1), drama (2)" in text
    config = results.validation["provenance"]["config"]
    rates = [learning_rate(OptimizerConfig(**config["optimizer"]), step, 72) for step in (40, 71)]
    assert f"from {rates[0]:.2g} in the first step to {rates[1]:.2g} in the last" in text


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (0.9, "a momentum of 0.9 the optimizer applies a gradient over about 10 steps"),
        (0.4, "does not fall to half"),
    ],
)
def test_an_advantage_without_a_half_life_is_explained(results, first, said):
    """Momentum is why the last units gain less: their gradients are not used up."""
    ages = np.linspace(0.5, first, results.steps)
    curve = {"advantage": ages, "low": ages, "high": ages, "half_life": {"value": None}}
    content = {**results.memorization, "forgetting": {"all": curve}}
    assert said in position_answer(replace(results, memorization=content))[1]


def test_what_a_position_does_is_said_with_the_numbers_of_the_maps(results):
    ages = np.linspace(0.5, 0.1, results.steps)
    curve = {"advantage": ages, "low": ages - 0.05, "high": ages + 0.05, "units": 32}
    curve["half_life"] = {"value": 20.0, "low": None, "high": None}
    content = {**results.memorization, "forgetting": {"all": curve}}
    effects = np.full_like(results.maps["estimated_same_insertion"], 0.004)
    maps = {**results.maps, "estimated_same_insertion": effects}
    agreement = {
        **content["agreement"],
        "own": {"presence": {"value": 0.7, "low": 0.5, "high": 0.8}},
    }
    content |= {"agreement": agreement}
    checked, own, heldout = position_answer(replace(results, memorization=content, maps=maps))
    assert f"{content['retrained']} positions were retrained" in checked
    assert "**0.10 nats per token lower** if it comes in the first" in own
    assert (
        "**0.50 lower** if it comes in the last one. Half of the advantage is gone after 20" in own
    )
    assert "rank correlation of 0.70 [0.50, 0.80]" in own, "not the check of `presence`"
    assert "by 0.0040 nats per token" in heldout
    assert "rank correlation of 0.90 [0.80, 0.95], and differ by 0.010" in heldout


def test_held_out_effects_are_in_spreads_of_the_domain_of_each_unit(results):
    spreads = results.validation["spread"]
    content = {**results.memorization, "unit_domains": ["drama"] * 32}
    effects = np.full_like(results.maps["estimated_same_insertion"], 0.004)
    maps = {**results.maps, "estimated_same_insertion": effects}
    heldout = position_answer(replace(results, memorization=content, maps=maps))[2]
    assert f"({short(0.004 / spreads['heldout/drama']['random']['std'])} spreads of this" in heldout


def test_the_step_with_the_lowest_mean_effect_is_the_best_place(results):
    effects = np.zeros_like(results.maps["estimated_same_insertion"])
    effects[:, 5], effects[:, 9] = -0.01, 0.02
    maps = {**results.maps, "estimated_same_insertion": effects}
    heldout = position_answer(replace(results, maps=maps))[2]
    assert "step 5 is the best place (−0.010) and step 9 the worst (0.020)" in heldout


@pytest.mark.parametrize(("low", "says"), [(0.001, "the search paid"), (-0.001, "not shown")])
def test_a_gain_is_certain_only_if_its_interval_is_above_zero(results, low, says):
    gains = {**results.curriculum["gains"]}
    gains["same_compute"] = {"value": 0.02, "in_spreads": 2.0, "low": low, "high": 0.03}
    searched = replace(results, curriculum={**results.curriculum, "gains": gains})
    assert says in " ".join(best_order_answer(searched))


def test_a_study_without_search_and_maps_says_so(results):
    bare = replace(results, curriculum=None, memorization=None, maps=None, replicates=None)
    text = " ".join(sentence for answer in answers(bare) for sentence in answer.sentences)
    assert "did not search" in text
    assert "no maps of positions" in text


def test_the_sections_are_in_the_sequence_of_a_reader(pages):
    assert pages[0].headings == list(SECTIONS)
    assert pages[1].headings == [], "the first page has figures of a section"


def test_the_report_links_to_the_explorer_and_to_files_that_exist(folder, pages):
    local = {address for address in pages[0].addresses if not address.startswith(("data:", "#"))}
    assert EXPLORER.files[0].name in local
    written = {f"./figures/{name}.pdf" for name in CATALOGUE} | {"figures/index.html"}
    optional = {"store/reference/probes.json", "stepwise_losses.csv", "curriculum/winners.json"}
    for address in local - written:
        name = address.removeprefix("./")
        assert (folder / name).exists() or name in optional, f"{address} leads nowhere"


def test_the_report_loads_nothing_from_elsewhere(pages):
    for page in pages:
        assert not [address for address in page.addresses if "//" in address]
        assert "script" not in page.tags
        assert "iframe" not in page.tags, "Chromium shows no large page inside another"


def test_names_of_a_study_cannot_break_the_page(folder, results, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    content = json.loads((copy / "curriculum.json").read_text())
    content["winner"] = content["orders"][0]["name"] = "<script>alert(1)</script>"
    (copy / "curriculum.json").write_text(json.dumps(content))
    write_report(copy, drawn_of(results), copy / "report.html", copy / "first.html")
    assert "<script" not in (copy / "report.html").read_text(encoding="utf-8")


def test_the_best_order_has_the_codes_and_colours_of_the_explorer(tmp_path):
    (tmp_path / "curriculum").mkdir()
    winner = {"name": "best", "schedule": [[2], [0], [1]]}
    (tmp_path / "curriculum/winners.json").write_text(json.dumps({"orders": [winner]}))
    record = {"unit_domains": ["scripture", "speeches", "code"]}
    (tmp_path / "orders.json").write_text(json.dumps(record))
    pattern = r'background:([^;"]+);color:([^;"]+)" title="(\w+)">(\w+)</span>'
    blocks = re.findall(pattern, order_strip(tmp_path))
    marks = domain_marks(record["unit_domains"])
    assert blocks == [
        (marks[name].colour, marks[name].ink, name, marks[name].code)
        for name in ("code", "scripture", "speeches")
    ], "the strip differs from the blocks of the explorer"
