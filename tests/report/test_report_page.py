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
from trainorder.evaluation.estimate_cost import cost_text, estimate_cost, retrainings_text
from trainorder.evaluation.interval_coverage import orders_inside
from trainorder.evaluation.results import Results
from trainorder.evaluation.verdict import TRUSTED_CORRELATION, TRUSTED_RELATIVE_ERROR
from trainorder.explorer.domain_marks import domain_marks
from trainorder.figures.catalogue import CATALOGUE, EXPLORER, SECTIONS
from trainorder.figures.drawing import drawn_of
from trainorder.figures.published import PAPER_ADDRESS
from trainorder.memorization.maps import MAPS
from trainorder.report.best_order import best_order_answer
from trainorder.report.document import write_report
from trainorder.report.estimators import accuracy_text, cost_table, estimator_text
from trainorder.report.first_page import WORDS, answers
from trainorder.report.numbers import nats, short, with_interval
from trainorder.report.order_strip import order_strip
from trainorder.report.positions import position_answer
from trainorder.report.setting import named_orders, retrained_orders, setting
from trainorder.training.learning_rates import learning_rate

PIXEL = bytes.fromhex("89504e470d0a1a0a")  # the begin of a PNG file, for pages that nobody looks at


class Page(HTMLParser):
    """The addresses, headings and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.sources, self.headings = [], [], []
        self.text, self.tags = "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("href", "src")]
        self.sources += [value for name, value in attrs if name == "src" or tag == "link"]

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
        f"Verdict of the study: {validation['verdict']}. A study has the verdict of its "
        f"most accurate estimator, here {validation['best_estimator']}: {best['verdict_reason']}",
        f"Use {validation['selected_estimator']}",
        f"{retrainings_text(selected['cost']['precompute_retrainings'])} to precompute",
        f"order-LDS {with_interval(selected['order_lds']['heldout']['random'])}",
        f"growth {validation['predictability']['growth']['value']:.2f}",
        results.curriculum["winner"],
        "0.020 nats per token (2 spreads) over this mean",
    ]
    for text in expected:
        assert text in shown, f"the first page does not say `{text}`"


def test_the_first_page_says_whether_the_study_repeats_the_run_of_the_user(folder, pages, tmp_path):
    assert "run of the user" not in pages[1].text, "the study trained its own reference"
    copy = shutil.copytree(folder, tmp_path / "copy")
    validation = json.loads((copy / "validation.json").read_text())
    validation["existing_run"] = {"verified": [], "stored": [], "unverified": [[0, 32]]}
    (copy / "validation.json").write_text(json.dumps(validation))
    write_report(copy, [], copy / "report.html", copy / "figures/first_page.html")
    shown = Page((copy / "figures/first_page.html").read_text(encoding="utf-8")).text
    assert "run of the user: none of the 32 steps is verified" in shown
    assert "nothing shows that the study repeats the run" in shown


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
    assert "long-to-short" not in shown.split("`")[1], "it is not the best"
    shown = answers(replace(results, curriculum={**content, "readouts": 4}))[0].sentences[1]
    assert "long-to-short" not in shown, "its objective is no loss at the end of the window"


def test_orders_outside_the_range_of_the_random_ones_are_counted(results):
    names = [n for n in results.orders if results.split(n) == "structured"]
    truth = {name: {"heldout": 1.0} for name in results.orders} | {names[0]: {"heldout": 2.0}}
    truth[names[1]] = {"heldout": 0.5}
    shown = answers(replace(results, truth=truth, curriculum=None))[0].sentences[1]
    inside = len(names) - 2
    assert f"{inside} lie inside the range of the 30 random ones, 1 below it and 1 above" in shown


def test_every_usable_estimator_is_named_with_what_it_is_and_its_whole_cost(results):
    answer = answers(results)[2]
    shown, selected = " ".join(answer.sentences), results.validation["selected_estimator"]
    verdict = results.score(selected)["verdict"]
    usable = [n for n in results.estimators if results.score(n)["verdict"] == verdict]
    assert len(usable) > 1
    names = [selected, *(n for n in usable if n != selected)]
    assert answer.table == cost_table(results, names)
    assert f"It costs {cost_text(results.validation, selected)}." in shown
    assert accuracy_text(results, selected) in shown
    for name, row in zip(names, answer.table[1:], strict=True):
        covered = results.score(name)["coverage"]["heldout"]["random"]
        assert row[0] == f"`{name}`: {estimator_text(name)}"
        assert row[-1].startswith(f"{orders_inside(covered)} of {covered['n']}")
    calibration = results.validation["orders"]["calibration"]
    assert f"{calibration} orders at" in answer.note, "the calibration orders are not free"


def test_sentence_and_table_and_files_state_the_same_cost(results):
    """What is paid before the first estimate, and per order, add up to the total of the study."""
    held_back = results.validation["orders"]["random"]
    for name in results.estimators:
        cost = estimate_cost(results.validation, name)
        total = results.score(name)["cost"]["total_retrainings"]
        assert cost.before + held_back * cost.each == pytest.approx(total), name
        [_, row] = cost_table(results, [name])
        before, each = retrainings_text(cost.before), retrainings_text(cost.each)
        assert row[1].startswith(f"{before} (")
        assert row[2].startswith(f"{each} (")
        assert row[3] == retrainings_text(total)
        said = cost_text(results.validation, name)
        assert f"{before} retrainings before the first estimate" in said
        assert f"{each} for each order" in said or (not cost.each and "nothing for each" in said)


def test_the_reason_of_every_verdict_is_named(results, pages):
    shown = " ".join(pages[0].text.split())
    for name in results.estimators:
        score = results.score(name)
        assert f"Verdict: {score['verdict']} ({score['verdict_reason']})" in shown, name


def test_the_share_of_true_losses_inside_the_intervals_is_counted(results):
    name = results.validation["selected_estimator"]
    covered = results.score(name)["coverage"]["heldout"]["random"]
    inside = round(covered["value"] * covered["n"])
    assert f"contain {inside} of {covered['n']}" in accuracy_text(results, name)


@pytest.mark.parametrize(
    ("value", "low", "high", "says"),
    [(0.5, 0.3, 0.7, "too narrow"), (0.75, 0.5, 0.95, ""), (1.0, 0.95, 1.0, "wider than meant")],
)
def test_intervals_that_contain_too_few_true_losses_are_called_too_narrow(
    results, value, low, high, says
):
    """Too few means: the configured share is outside the exact interval of the measured one."""
    name = results.validation["selected_estimator"]
    covered = {"heldout": {"random": {"value": value, "low": low, "high": high, "n": 12}}}
    estimators = {name: {**results.score(name), "coverage": covered}}
    changed = replace(results, validation={**results.validation, "estimators": estimators})
    text = accuracy_text(changed, name)
    assert ("so they are" in text) == bool(says)
    assert says in text
    assert cost_table(changed, [name])[1][-1].endswith(says)


def test_words_of_the_verdict_have_the_thresholds_of_its_rule():
    assert f"at least {TRUSTED_CORRELATION}" in WORDS["trusted"]
    assert f"at most {TRUSTED_RELATIVE_ERROR}" in WORDS["trusted"]
    assert {"recalibrated", "replay", "rank only", "known runs"} <= set(WORDS)


def test_every_retrained_order_that_is_not_random_is_explained(results):
    named = named_orders(results)
    structured = {n for n in results.orders if results.split(n) == "structured"}
    true = {one["name"] for one in results.curriculum["orders"] if one["true"] is not None}
    assert set(named) == structured | true


def test_the_numbers_of_retrained_orders_add_up(results):
    text = retrained_orders(results)
    sums = re.findall(r"(\d+) [a-z ]+\(([^)]+)\)", text)
    assert len(sums) == 2, text
    for total, parts in sums:
        assert int(total) == sum(int(n) for n in re.findall(r"\d+", parts)), text
    added = [one for one in results.curriculum["orders"] if one["true"] is not None]
    assert sum(int(total) for total, _ in sums) == len(results.orders) - 1 + len(added)


def test_the_gain_over_the_best_random_order_is_that_of_all_retrained_ones(results):
    content = results.curriculum
    best = min(content["random"]["true"].values())
    winner = next(one["true"] for one in content["orders"] if one["name"] == content["winner"])
    said = f"{nats(best - winner)} nats per token"
    assert (
        f"{said} ({short((best - winner) / 0.01)} spreads) over the best of all"
        in (best_order_answer(results)[0])
    )


def test_the_interval_of_the_gain_has_its_level_and_says_what_it_covers(results):
    gains = {**results.curriculum["gains"]}
    gains["same_compute"] = {"value": 0.02, "in_spreads": 2.0, "low": 0.01, "high": 0.03}
    content = {**results.curriculum, "gains": gains}
    [*_, said, _] = best_order_answer(replace(results, curriculum=content, replicates=None))
    assert "95 % interval 0.010 to 0.030" in said
    assert "covers only which random orders were drawn" in said
    assert "calibration orders" in said, "it is not said that they are not counted"


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
    assert f"from {rates[0]:#.2g} in the first step to {rates[1]:#.2g} in the last" in text


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (0.9, "a momentum of 0.9 the optimizer applies a gradient over about 10 steps"),
        (0.4, "no half-life"),
        (0.9, "nothing is forgotten"),
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
        "own": {"presence": {"value": 0.7, "low": 0.5, "high": 0.8, "n": 40, "slope": 1.0}},
    }
    content |= {"agreement": agreement}
    checked, own, heldout = position_answer(replace(results, memorization=content, maps=maps))
    assert f"{content['retrained']} positions were retrained" in checked
    assert "**0.10 nats per token lower** if the step is step 0" in own
    assert "**0.50 lower** if it is step 31" in own
    assert "half of the advantage is gone after 20" in own
    assert "rank correlation of 0.70 [0.50, 0.80]" in own, "not the check of `presence`"
    assert "by 0.0040 nats per token" in heldout
    assert "rank correlation of 0.90 [0.80, 0.95], and differ by 0.010" in heldout
    assert "250 % of the median size of all estimated effects, 0.0040, so" in heldout


def test_a_map_without_information_is_not_described(results):
    empty = {"value": 0.1, "low": -0.4, "high": 0.5, "n": 8, "slope": 0.0, "mse": 1e-4}
    agreement = {quantity: dict.fromkeys(MAPS, empty) for quantity in ("own", "same", "other")}
    content = {**results.memorization, "agreement": agreement}
    maps = {name: 0 * effects for name, effects in results.maps.items()}
    _, own, heldout = position_answer(replace(results, memorization=content, maps=maps))
    for text in (own, heldout):
        assert "the map is empty: it says that the position has no effect" in text
        assert "the true effects there are 0.010 (root mean square)" in text
        assert "inf" not in text


def test_maps_with_few_retrained_cells_are_counted_and_left_out(results):
    few = {"value": -1.0, "low": -1.0, "high": 1.0, "n": 4}
    content = results.memorization
    agreement = {**content["agreement"], "other": dict.fromkeys(MAPS, few)}
    changed = replace(results, memorization={**content, "agreement": agreement})
    checked = position_answer(changed)[0]
    assert "Over the 6 maps with 40 retrained cells" in checked
    assert "from 0.90 [0.80, 0.95] to 0.90" in checked, "a map of 4 cells is in the range"
    assert "3 maps have only 4 retrained cells" in checked


@pytest.mark.parametrize(
    ("verdict", "is_guess"), [("trusted", False), ("rank only", False), ("not trusted", True)]
)
def test_effects_of_an_estimator_that_is_not_trusted_are_called_guesses(results, verdict, is_guess):
    content = {**results.memorization, "verdict": verdict}
    first = position_answer(replace(results, memorization=content))[0]
    assert ("the effects below are guesses" in first) == is_guess


def test_held_out_effects_are_in_spreads_of_the_domain_of_each_unit(results):
    spreads = results.validation["spread"]
    content = {**results.memorization, "unit_domains": ["drama"] * 32}
    effects = np.full_like(results.maps["estimated_same_insertion"], 0.004)
    maps = {**results.maps, "estimated_same_insertion": effects}
    heldout = position_answer(replace(results, memorization=content, maps=maps))[2]
    assert f"(or {short(0.004 / spreads['heldout/drama']['random']['std'])} spreads" in heldout


def test_the_step_with_the_lowest_mean_effect_is_the_best_place(results):
    effects = np.zeros_like(results.maps["estimated_same_insertion"])
    effects[:, 5], effects[:, 9] = -0.01, 0.02
    maps = {**results.maps, "estimated_same_insertion": effects}
    heldout = position_answer(replace(results, maps=maps))[2]
    assert "step 5 is the best place (−0.010 against leaving the unit" in heldout
    assert "step 9 the worst (0.020)" in heldout
    assert "need not hold for other orders" in heldout


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
    local.discard(PAPER_ADDRESS)
    assert EXPLORER.files[0].name in local
    written = {f"./figures/{name}.pdf" for name in CATALOGUE} | {"figures/index.html"}
    optional = {"store/reference/probes.json", "stepwise_losses.csv", "curriculum/winners.json"}
    for address in local - written:
        name = address.removeprefix("./")
        assert (folder / name).exists() or name in optional, f"{address} leads nowhere"


def test_the_report_loads_nothing_from_elsewhere(pages):
    for page in pages:
        assert {a for a in page.addresses if "//" in a} == {PAPER_ADDRESS}, "not only a link"
        assert PAPER_ADDRESS not in page.sources
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
    pattern = (
        r'background:([^;"]+);color:([^;"]+)" title="unit (\d+), (\w+), step (\d+)">(\w+)</span>'
        r"<small>(\d+)</small>"
    )
    blocks = re.findall(pattern, order_strip(tmp_path))
    marks = domain_marks(record["unit_domains"])
    assert blocks == [
        (marks[name].colour, marks[name].ink, unit, name, step, marks[name].code, step)
        for step, unit, name in (
            ("0", "2", "code"),
            ("1", "0", "scripture"),
            ("2", "1", "speeches"),
        )
    ], "the strip differs from the blocks of the explorer"
