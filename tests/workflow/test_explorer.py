"""The order explorer in a real browser: it shows the numbers that Python computes."""

import json
import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from problems import (
    KINDS,
    Polynomial,
    barycentre,
    every_sequence,
    low_rank,
    optimizer_config,
    warm_state,
)
from trainorder.curriculum.constraints import Constraints, Quota
from trainorder.curriculum.local_search import local_search
from trainorder.curriculum.objective import Objective
from trainorder.curvature.build_reduced_model import build_reduced_model
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.curvature.probe_schedules import probe_schedules
from trainorder.curvature.reduced_model import ReducedModel
from trainorder.evaluation.recalibration import Recalibration
from trainorder.explorer import page as explorer
from trainorder.explorer.compact_model import CompactModel
from trainorder.explorer.packing import packed
from trainorder.study import Study

pytestmark = pytest.mark.study
CLOSE = 1e-6


@pytest.fixture(scope="module")
def browser():
    """Return a headless Chromium; the tests are skipped without one, unless one is required."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        required = os.environ.get("TRAINORDER_BROWSER") == "required"
        (pytest.fail if required else pytest.skip)("chromium or chromedriver is not on the path")
    with started(chromium, driver) as opened:
        yield opened


@contextmanager
def started(chromium, driver):
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = chromium
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.add_argument("--window-size=1200,900")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    opened.set_page_load_timeout(60)
    try:
        yield opened
    finally:
        opened.quit()


@pytest.fixture
def page(browser, finished):
    browser.get((finished.results / "explorer.html").as_uri())
    return browser


def run_scripts(browser, names, code, *arguments):
    """Run JavaScript after some scripts of the page, on an empty page."""
    browser.get("about:blank")
    folder = Path(explorer.__file__).parent
    scripts = [(folder / f"{name}.js").read_text(encoding="utf-8") for name in names]
    return browser.execute_script("\n".join([*scripts, code]), *arguments)


def record_of(finished):
    """Return the data in the page."""
    source = (finished.results / "explorer.html").read_text(encoding="utf-8")
    return json.loads(re.search(r'id="record">(.*?)</script>', source, re.S)[1])


def severe(page):
    return [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]


def units(page):
    return [unit for step in state(page)["schedule"] for unit in step]


def blocks(page):
    return page.find_elements("css selector", "#strip button.block")


def press(page, *keys):
    """Send keys to the element that has the focus at each of them."""
    for key in keys:
        page.switch_to.active_element.send_keys(key)


def state(page):
    return page.execute_script("return window.explorer")


def in_double_precision(reduced):
    doubles = {
        name: value.double()
        for name, value in vars(reduced).items()
        if isinstance(value, torch.Tensor)
    }
    return replace(reduced, **doubles)


def expected(finished, schedule):
    """Return the estimates that Python computes from the same files, in double precision."""
    study = Study.open(finished.results)
    reduced = in_double_precision(study.reduced)
    losses = reduced.predict(torch.tensor(schedule)[None])[0].tolist()
    mean = sum(losses) / len(losses)
    names = [f"heldout/{goal}" for goal in reduced.goals]
    raw = {"heldout": mean, **dict(zip(names, losses, strict=True))}
    return {
        metric: study.results.recalibration("reduced@barycentre", metric).estimate(value)
        for metric, value in raw.items()
    }


def check(page, finished):
    shown, computed = state(page), expected(finished, state(page)["schedule"])
    assert set(shown["estimates"]) == set(computed)
    for metric, estimate in computed.items():
        assert shown["estimates"][metric] == pytest.approx(estimate._asdict(), abs=CLOSE), (
            f"{metric} differs from the value of Python"
        )
        cell = page.find_element("css selector", f'td[data-metric="{metric}"]')
        # Of the page's own value: that of Python may round to the next digit.
        value = shown["estimates"][metric]["value"]
        assert cell.text == f"{value:.4f}", f"the table shows a wrong {metric}"


@pytest.mark.parametrize("exempt", [False, True], ids=["plain", "exemptions and clipping"])
@pytest.mark.parametrize("averaged_states", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_page_replays_each_optimizer_as_python_does(
    kind, averaged_states, exempt, browser, tmp_path
):
    problem = Polynomial(6, size=12)
    changes = {"weight_decay": 0.3, "schedule": "cosine", **KINDS[kind]}
    config = optimizer_config(learning_rate=0.02, gradient_clip=1.0 if exempt else None, **changes)
    warm, schedules = warm_state(problem, problem.start, config), probe_schedules((3, 2), 6, 0, 20)
    decayed = torch.arange(12) % 3 > 0 if exempt else None
    with barycentre(problem, warm, 3, 2, config, tmp_path, decayed=decayed) as about:
        model, _ = low_rank(about, every_sequence(problem, np.arange(6)))
        reduced = build_reduced_model(
            *(about, model, schedules, second_moment_scale(about), [2, 3]),
            averaged_states=averaged_states,
        )
    record = CompactModel.of(reduced, model.unit_cores).record(None)
    losses = reduced.along(schedules[:4])
    shown = run_scripts(
        browser,
        ("packed", "model", "replay"),
        "const replay = new Replay(decodeModel(arguments[0]));"
        "return arguments[1].map((visits) => replay.run(visits));",
        record,
        schedules[:4].flatten(1).tolist(),
    )
    goals = len(reduced.goals)
    for rows, (first, last) in zip(shown, losses.tolist(), strict=True):
        averaged = [last[goals:]] if averaged_states else []
        for row, python in zip(rows, [first[:goals], last[:goals], *averaged], strict=True):
            assert row == pytest.approx(python, abs=1e-12)


def test_a_replay_goes_on_from_where_an_order_differs(browser, finished):
    """Every order of the study, once from its start and once from the order before."""
    assert run_scripts(
        browser,
        ("packed", "model", "replay"),
        "const record = arguments[0], model = decodeModel(record.model), kept = new Replay(model);"
        "return Object.values(record.orders).every((visits) => {"
        "  const whole = JSON.stringify(new Replay(model).run(visits));"
        "  const neighbour = [...visits.slice(1), visits[0]];"
        "  return JSON.stringify(kept.run(visits)) === whole"
        "    && (kept.run(neighbour, false), JSON.stringify(kept.run(visits)) === whole);"
        "});",
        record_of(finished),
    ), "a replay from a stored state differs from a whole one"


@pytest.mark.parametrize("n", [0, 8, 24])
def test_the_page_recalibrates_as_python_does(n, browser):
    rng = np.random.default_rng(n)
    true = rng.standard_normal(n)
    fitted = Recalibration.fitted(true + rng.standard_normal(n), true, 0.9)
    call = "return recalibrated(arguments[0], arguments[1]);"
    for raw in (-9.0, 0.25, 9.0):
        shown = run_scripts(browser, ("recalibration",), call, fitted.record(), raw)
        assert shown == pytest.approx(fitted.estimate(raw)._asdict(), abs=1e-12)


def test_the_page_opens_on_the_reference_order_without_an_error(page, finished):
    reference = Study.open(finished.results).orders["reference"].schedule.tolist()
    assert state(page)["schedule"] == reference
    check(page, finished)
    assert "−0.0000" not in page.find_element("id", "estimates").text, (
        "a difference of zero has a minus sign"
    )
    assert not severe(page), severe(page)


def test_a_drag_moves_a_unit_and_shows_what_python_computes(page, finished):
    from selenium.webdriver import ActionChains

    before, raw = units(page), state(page)["raw"]
    drag = ActionChains(page).click_and_hold(blocks(page)[0]).move_to_element(blocks(page)[4])
    drag.perform()
    moved = before[1:5] + before[:1] + before[5:]
    wait(page, lambda: units(page) == moved, "the estimates do not follow the drag")
    estimate = f"{state(page)['estimates']['heldout']['value']:.4f}"
    assert estimate in page.find_element("id", "status").text, "two estimates are on the screen"
    ActionChains(page).release().perform()
    assert units(page) == moved
    assert state(page)["raw"] != raw, "the drag changed no number"
    check(page, finished)


def test_keys_pick_a_unit_up_move_it_and_put_it_down(page, finished):
    from selenium.webdriver.common.keys import Keys

    before = units(page)
    page.execute_script("document.querySelector('#strip button.block').focus()")
    press(page, Keys.ARROW_RIGHT, Keys.SPACE)
    assert f"Picked up unit {before[1]}" in page.find_element("id", "status").text
    press(page, Keys.ARROW_RIGHT, Keys.SPACE)
    after = [before[0], before[2], before[1], *before[3:]]
    assert units(page) == after
    focused = page.switch_to.active_element.get_attribute("aria-label")
    assert focused.startswith(f"unit {before[1]},"), f"the focus is on {focused}"
    status = page.find_element("id", "status").text
    assert f"Unit {before[1]} moved to step 2" in status, status
    assert f"{state(page)['estimates']['heldout']['value']:.4f}" in status, status
    check(page, finished)
    press(page, Keys.SPACE, Keys.END, Keys.ESCAPE)
    assert units(page) == after, "Escape does not return the unit"


@pytest.mark.parametrize(
    ("key", "places"),
    [
        ("ArrowLeft", [0, 1, 0]),
        ("ArrowDown", [1, 2, 3]),
        ("ArrowUp", [0, 0, 1]),
        ("End", [7, 7, 7]),
    ],
)
def test_arrows_follow_the_screen_where_a_step_has_two_units(key, places, browser):
    shown = run_scripts(
        browser,
        ("blocks",),
        "const blocks = { width: 2, buttons: Array(8) };"
        "return [0, 1, 2].map((p) => Blocks.prototype.target.call(blocks, arguments[0], p));",
        key,
    )
    assert shown == places


def test_undo_and_redo_go_through_the_orders(page):
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select

    first = units(page)
    Select(page.find_element("id", "order")).select_by_value("reversed")
    page.find_element("id", "sortDomain").click()
    last = units(page)
    page.find_element("id", "undo").click()
    assert state(page)["name"] == "reversed"
    page.find_element("tag name", "body").send_keys(Keys.CONTROL, "z")
    assert units(page) == first
    assert not page.find_element("id", "undo").is_enabled()
    for _ in range(2):
        page.find_element("id", "redo").click()
    assert units(page) == last
    assert not page.find_element("id", "redo").is_enabled()


def test_sorting_moves_only_the_units_of_the_shown_domains(page, finished):
    domains = record_of(finished)["unitDomains"]
    before = units(page)
    page.find_element("css selector", "#legend button").click()
    shown = sorted(set(domains))[0]
    losses = record_of(finished)["model"]["unitLosses"]
    others, sequences = [unit for unit in before if domains[unit] != shown], []
    for _ in range(2):  # the second time the other way around
        page.find_element("id", "sortLoss").click()
        assert [unit for unit in units(page) if domains[unit] != shown] == others
        sequences.append([losses[unit] for unit in units(page) if domains[unit] == shown])
    ascending = sorted(sequences[0])
    assert sorted(sequences) == sorted([ascending, ascending[::-1]])


def found(page):
    """Let the search end by itself, and return what it reports."""
    page.find_element("id", "improve").click()
    wait(page, lambda: "found" in state(page), "the search does not end")
    return state(page)["found"]


def test_improve_finds_what_the_local_search_of_python_finds(page, finished):
    study = Study.open(finished.results)
    config, reference = study.config["curriculum"], study.orders["reference"].schedule
    constraints = Constraints(
        reference,
        study.unit_domains,
        {pin["unit"]: pin["step"] for pin in config["pinned"]},
        [Quota(**quota) for quota in config["quotas"]],
        config["furthest"],
    )
    objective = Objective({term["metric"]: term["weight"] for term in config["objective"]})

    def score(schedules):
        losses = study.reduced.along(torch.from_numpy(schedules)).double().numpy()
        return objective.of_domains(study.reduced.goals, losses).mean(axis=1)

    drawn = np.random.default_rng(1).permuted(np.tile(np.arange(reference.size), (500, 1)), axis=1)
    drawn = drawn.reshape(-1, *reference.shape)
    allowed = drawn[constraints.violations(drawn) == 0]
    start = allowed[score(allowed).argmax()]
    paste(page, json.dumps(start.tolist()))
    python = local_search(score, start, constraints, np.random.default_rng(0), 512, 30)
    result = found(page)
    schedule = np.array(result["visits"]).reshape(reference.shape)
    assert not constraints.violations(schedule[None])[0], "the order breaks the constraints"
    value = float(score(schedule[None])[0])
    assert result["value"] == pytest.approx(value, abs=CLOSE)
    assert value <= score(python[None])[0] + CLOSE, "Python finds a better order"
    assert value < score(start[None])[0], "the search finds nothing"
    assert units(page) == result["visits"], "the page does not show the order"
    assert "spreads" in page.find_element("id", "status").text
    page.find_element("id", "undo").click()
    assert units(page) == start.reshape(-1).tolist(), "the search cannot be undone"


def test_the_counted_violations_are_those_of_python(browser, finished):
    study, rng = Study.open(finished.results), np.random.default_rng(0)
    reference = study.orders["reference"].schedule
    domains = list(study.unit_domains)
    constraints = Constraints(
        reference,
        domains,
        {0: 3, 2: 1},
        [Quota(domains[0], 0, 2, 2), Quota(domains[0], 3, 5, 0, 1)],
        2,
    )
    rules = {
        "reference": reference.reshape(-1).tolist(),
        "domains": domains,
        "pinned": [{"unit": 0, "step": 3}, {"unit": 2, "step": 1}],
        "quotas": [
            {"domain": domains[0], "first": 0, "last": 2, "least": 2, "most": None},
            {"domain": domains[0], "first": 3, "last": 5, "least": 0, "most": 1},
        ],
        "furthest": 2,
    }
    orders = np.stack([rng.permutation(reference.size) for _ in range(200)])
    shown = run_scripts(
        browser,
        ("constraints",),
        "return arguments[1].map((visits) => violations(arguments[0], visits, arguments[2]));",
        rules,
        orders.tolist(),
        reference.shape[1],
    )
    python = constraints.violations(orders.reshape(-1, *reference.shape))
    assert shown == python.tolist()
    assert len(set(shown)) > 3


def test_a_link_opens_the_order_that_it_was_copied_from(page, browser):
    from selenium.webdriver.support.select import Select

    Select(page.find_element("id", "order")).select_by_value("reversed")
    page.find_element("id", "sortLoss").click()
    copied = units(page)
    page.find_element("id", "link").click()
    address = page.find_element("id", "address").get_attribute("value")
    browser.get("about:blank")
    browser.get(address)
    assert units(page) == copied
    browser.get("about:blank")
    browser.get(address.split("=")[0] + "=1.2")
    assert "not used: it has 2 units" in page.find_element("id", "status").text
    assert state(page)["name"] == "reference"


@pytest.mark.parametrize("form", ["json", "list", "csv", "line", "lines"])
def test_pasted_orders_are_shown(form, page):
    mine = [3, 1, 0, 2, 5, 4]
    text = {
        "json": json.dumps({"orders": [{"name": "mine", "schedule": [[u] for u in mine]}]}),
        "list": json.dumps(mine),
        "csv": "name,kind,0,1,2,3,4,5\nmine,permutation," + ",".join(map(str, mine)),
        "line": ", ".join(map(str, mine)),
        "lines": "\n".join(map(str, mine)),
    }[form]
    paste(page, text)
    assert units(page) == mine
    assert not page.find_element("id", "loadError").text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "There is no text"),
        ("[1, 2]", "it has 2 units, but the window has 6 places"),
        ("0,1,2,3,4,9", "there is no unit 9"),
        ("0,1,2,3,4,4", "not a permutation"),
        ("0,1,x,3,4,5", "“x” is not a whole number"),
        ('{"name": "a"}', "a: there is no list of units"),
        ("{", "not valid JSON"),
    ],
)
def test_a_wrong_order_is_explained_and_not_shown(text, message, page):
    before = units(page)
    paste(page, text)
    assert message in page.find_element("id", "loadError").text
    assert units(page) == before


def paste(page, text):
    page.execute_script(
        "document.querySelector('details.panel').open = true;"
        "document.getElementById('pasted').value = arguments[0];",
        text,
    )
    page.find_element("id", "load").click()


def test_orders_are_compared_side_by_side(page):
    from selenium.webdriver.support.select import Select

    values = []
    for name in ("reference", "reversed"):
        Select(page.find_element("id", "order")).select_by_value(name)
        values.append(f"{state(page)['estimates']['heldout']['value']:.4f}")
        page.find_element("id", "keep").click()
    comparison = page.find_element("id", "comparison")
    row = comparison.find_element("css selector", "tbody tr").text
    assert all(value in row for value in values), row
    marks = page.find_elements("css selector", "#mainStrip text.kept")
    assert {mark.text for mark in marks} == {"A", "B"}
    assert "A: reference" in comparison.text
    comparison.find_element("css selector", ".keptOrder button").click()
    assert state(page)["name"] == "reference"
    for _ in range(2):
        comparison.find_element("css selector", ".keptOrder button:last-child").click()
        focused = page.switch_to.active_element.tag_name
        assert focused == "button", "the focus is lost with the order that was removed"
    assert not comparison.is_displayed()


def test_plots_show_the_truth_and_follow_the_estimate(page, finished):
    record = record_of(finished)
    metrics = list(record["recalibration"])
    dots = page.find_elements("css selector", "circle.dot")
    assert len(dots) == len(metrics) * len(record["random"])
    labels = [text.text for text in page.find_elements("css selector", "#mainStrip text.mark")]
    named = set(record["truth"]) - set(record["random"])
    assert set(labels) <= named
    assert {"reference", best_searched(record)} <= set(labels)
    for strip in page.find_elements("css selector", "#mainStrip svg, #strips svg"):
        lines = strip.find_elements("css selector", "line.mark")
        assert {line.get_attribute("data-name") for line in lines} == named
        tips = strip.find_elements("css selector", "line.hover > title")
        shown = {tip.get_attribute("textContent").rsplit(": ", 1)[0] for tip in tips}
        assert shown == named, "a line has no tooltip"
        text = strip.get_attribute("aria-label")
        assert all(name in text for name in named), f"a screen reader does not read it: {text}"
    path = page.find_element("css selector", "#mainStrip .current path")
    before = path.get_attribute("d")
    page.find_element("id", "sortLoss").click()
    after = page.find_element("css selector", "#mainStrip .current path").get_attribute("d")
    assert after != before
    curves = page.find_elements("css selector", "#curves polyline.own")
    assert len(curves) == 1 + len(record["model"]["goals"])


def best_searched(record):
    """Return the searched order with the lowest true objective."""
    weights = record["objective"]["weights"]
    searched = [name for name in record["truth"] if record["groups"].get(name) == "searched"]
    return min(
        searched,
        key=lambda name: sum(w * record["truth"][name][metric] for metric, w in weights.items()),
    )


def test_small_strips_label_only_what_is_looked_for(page, finished):
    from selenium.webdriver.support.select import Select

    record = record_of(finished)
    named = set(record["truth"]) - set(record["random"])
    metrics = [metric for metric in record["recalibration"] if metric != "heldout"]
    for shown in ("reversed", record["random"][0]):
        Select(page.find_element("id", "order")).select_by_value(shown)
        strips = page.find_elements("css selector", "#strips svg")
        for metric, strip in zip(metrics, strips, strict=True):
            labels = {text.text for text in strip.find_elements("css selector", "text.mark")}
            values = {name: record["truth"][name][metric] for name in named}
            ends = (min(values.values()), max(values.values()))
            extremes = {name for name, value in values.items() if value in ends}
            wanted = {shown, "reference", best_searched(record)} | extremes
            assert labels <= wanted, f"{metric}: labels without need: {labels - wanted}"
            assert shown in labels, f"{metric}: the order that is shown has no label"


def test_no_label_covers_another_and_no_leader_runs_through_a_label(browser):
    rng = np.random.default_rng(0)
    drawn = rng.uniform((20, 20), (320, 150), (300, 12, 2)).tolist()
    plots = [[{"x": x, "size": size} for x, size in marks] for marks in drawn]
    placed = run_scripts(
        browser, ("labels",), "return arguments[0].map((m) => placedLabels(m, 340, 3));", plots
    )
    for marks, labels in zip(plots, placed, strict=True):
        first = {key: labels[0][key] for key in ("x", "size")}
        assert first == pytest.approx(marks[0]), "the most important mark has no label"
        assert all(label["start"] >= 0 and label["end"] <= 340 for label in labels)
        for i, one in enumerate(labels):
            for other in labels[:i]:
                apart = one["end"] <= other["start"] or other["end"] <= one["start"]
                assert one["row"] != other["row"] or apart, "a label covers another"
                low, high = sorted((one, other), key=lambda label: label["row"])
                crossed = low["start"] <= high["x"] <= low["end"]
                assert low["row"] == high["row"] or not crossed, "a leader crosses a label"
    assert max(len(labels) for labels in placed) > 4, "hardly a label is placed"


def test_curves_show_the_losses_along_the_window(page, finished):
    reduced = ReducedModel.load(finished.results / "store/barycentre/reduced_along.h5", None)
    page.find_element("id", "sortLoss").click()
    schedule = torch.tensor(state(page)["schedule"])[None]
    python = in_double_precision(reduced).along(schedule)[0].tolist()
    for shown, row in zip(state(page)["losses"], python, strict=True):
        assert shown == pytest.approx(row, abs=CLOSE)
    assert len(python) == len(schedule[0]), "not every step of so short a window is read"


def test_a_focused_block_shows_the_map_of_its_unit(page, finished):
    results = Study.open(finished.results).results
    page.execute_script("document.querySelectorAll('#strip button.block')[2].focus()")
    unit = units(page)[2]
    assert page.find_element("id", "unitHeading").text.startswith(f"Unit {unit} (")
    own = results.maps["estimated_own_insertion"][unit]
    caption = page.find_element("css selector", "#unitBars figcaption").text
    shown = number(re.search(r": (\S+) at step 2;", caption)[1])
    close = np.abs(own).max() / 500 + 1e-5
    assert shown == pytest.approx(own[2], abs=close)
    figure = page.find_element("css selector", "#unitBars svg")
    values = [number(text.text) for text in figure.find_elements("css selector", "text.value")]
    assert 0 in values, "the axis has no zero"
    ends = {min(values), max(values)}
    # A tick that would cover that of zero is absent.
    expected_ends = [x for x in (own.min(), own.max()) if abs(x) > 0.2 * np.abs(own).max()]
    for end in expected_ends:
        assert min(abs(end - value) for value in ends) <= close, f"no tick at {end}: {values}"


def test_the_effects_of_a_position_are_grey_where_they_do_not_hold(page):
    from selenium.webdriver.support.select import Select

    def is_grey():
        return page.execute_script(
            "return document.getElementById('unitBars').classList.contains('elsewhere')"
        )

    assert not is_grey(), "the maps hold for the reference order"
    Select(page.find_element("id", "order")).select_by_value("reversed")
    assert is_grey()
    assert "Another order is shown" in page.find_element("id", "unitSection").text
    page.find_element("id", "undo").click()
    assert not is_grey()


def test_a_block_shows_domain_and_unit(page):
    shown = [block.text.split() for block in blocks(page)]
    assert [int(number) for _, number in shown] == units(page)


def number(text):
    return float(text.replace("−", "-"))


def panel(page):
    """Return the step that the unit panel states in its heading, a caption and its triangle."""
    heading = page.find_element("id", "unitHeading").text
    caption = page.find_element("css selector", "#unitBars figcaption").text
    triangle, bar, here = page.execute_script(
        "const figure = document.querySelector('#unitBars svg');"
        "const bars = [...figure.querySelectorAll('rect.bar')];"
        "const middle = ({ x, width }) => x + width / 2;"
        "const boxes = bars.map((bar) => middle(bar.getBoundingClientRect()));"
        "const x = middle(figure.querySelector('path.here').getBoundingClientRect());"
        "const apart = boxes.map((box) => Math.abs(box - x));"
        "return [apart.indexOf(Math.min(...apart)), Math.min(...apart),"
        "  bars.findIndex((bar) => bar.classList.contains('here'))];"
    )
    assert bar < 2, "the triangle is between bars"
    unit, step = re.match(r"Unit (\d+) \(.*\), now at step (\d+)", heading).groups()
    stated = re.search(r"at step (\d+);", caption)[1]
    assert {int(step), int(stated), here} == {triangle}, "the panel contradicts itself"
    return int(unit), int(step)


def test_the_unit_panel_follows_every_change_of_the_order(page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select

    page.execute_script("document.querySelectorAll('#strip button.block')[1].focus()")
    unit = units(page)[1]

    def check_panel(what):
        assert panel(page) == (unit, units(page).index(unit)), f"the panel is stale after {what}"

    check_panel("the focus")
    Select(page.find_element("id", "order")).select_by_value("reversed")
    check_panel("a choice in the menu")
    page.find_element("id", "sortLoss").click()
    check_panel("sorting")
    page.find_element("id", "undo").click()
    check_panel("undo")
    paste(page, json.dumps(units(page)[1:] + units(page)[:1]))
    check_panel("loading")
    page.execute_script("window.location.hash = arguments[0]", "order=" + ".".join("341025"))
    wait(page, lambda: units(page) == [3, 4, 1, 0, 2, 5], "the link is not followed")
    check_panel("a link")
    found(page)
    check_panel("a search")
    block = blocks(page)[units(page).index(unit)]
    target = blocks(page)[5 if units(page).index(unit) < 3 else 0]
    page.execute_script("arguments[0].scrollIntoView({ block: 'center' })", block)
    before = units(page)
    ActionChains(page).click_and_hold(block).move_to_element(target).perform()
    wait(page, lambda: units(page) != before, "the drag moves nothing")
    check_panel("a part of a drag")
    ActionChains(page).release().perform()
    check_panel("a drag")
    page.execute_script("arguments[0].focus()", blocks(page)[units(page).index(unit)])
    press(page, Keys.SPACE, Keys.HOME, Keys.SPACE)
    check_panel("a move by keys")


def test_a_message_about_an_order_vanishes_when_another_is_shown(page):
    from selenium.webdriver.support.select import Select

    found(page)
    message = page.find_element("id", "status").text
    assert "orders tried" in message
    actions = [
        lambda: Select(page.find_element("id", "order")).select_by_value("reversed"),
        lambda: page.find_element("id", "undo").click(),
        lambda: page.find_element("id", "sortDomain").click(),
    ]
    for act in actions:
        act()
        assert "orders tried" not in page.find_element("tag name", "body").text
    assert len(page.find_elements("css selector", "[role=status]")) == 1


def test_a_search_moves_nothing_that_a_pointer_aims_at(page):
    tops = (
        "return ['strip', 'legend', 'note', 'plots'].map((id) => "
        "document.getElementById(id).getBoundingClientRect().top + window.scrollY);"
    )
    before = page.execute_script(tops)
    page.execute_script(
        "window.tops = []; const status = document.getElementById('status');"
        "new MutationObserver(() => window.tops.push((() => {" + tops + "})()))"
        ".observe(status, { childList: true });"
    )
    found(page)
    during = page.execute_script("return window.tops")
    assert len(during) >= 2, "the search reports nothing"
    for top in (*during, page.execute_script(tops)):
        assert top[:3] == before[:3], f"a message moves the page: {before}, then {top}"


def test_a_search_without_a_better_order_ends_after_a_number_of_orders(browser):
    scored, unchanged, is_done = run_scripts(
        browser,
        ("search",),
        "const start = Array.from({ length: 60 }, (_, i) => i);"
        "const search = new LocalSearch(start, () => 1, () => true);"
        "for (let i = 0; i < 5000 && !search.isDone; i += 1) search.advance();"
        "return [search.result().scored, search.result().unchanged, search.isDone, UNCHANGED];",
    )[:3]
    assert is_done, "the search does not end"
    assert (scored, unchanged) == (1001, 1000)


def test_a_search_without_a_better_order_ends_after_a_time(browser):
    """Each look at the clock takes a second, and each order is as good as the others."""
    reports = run_scripts(
        browser,
        ("search", "worker"),
        "let clock = 0; Date.now = () => { clock += 1000; return clock; };"
        "const start = Array.from({ length: 60 }, (_, i) => i), reports = [];"
        "searchOf = () => new LocalSearch(start, () => 1, () => true);"
        "const scope = { postMessage: (report) => reports.push(report) };"
        "serveSearches(scope); scope.onmessage({ data: {} });"
        "return reports;",
    )
    assert reports[-1]["isDone"], "the search does not end"
    assert reports[-1]["scored"] < 20, "the search ends by the number of orders"
    assert reports[-2]["waited"] == 15


NOTE = """
const [record, shown] = arguments, element = document.createElement("div");
new OrderNote(element, record).show(shown);
return [element.textContent, element.classList.contains("warning")];
"""


def note_of(browser, name, beyond=(), group=None, truth=None):
    """Return the note on an order with two metrics, and whether it is a warning."""
    metrics = ("heldout", "heldout/code")
    record = {
        "names": dict(zip(metrics, ("held-out loss", "held-out loss, code"), strict=True)),
        "reference": "reference",
        "drawn": ["reference", "random-0", "calibration-0"],
        "groups": {
            **{"reference": "reference", "random-0": "random", "calibration-0": "calibration"},
            **({name: group} if group else {}),
        },
        "truth": {} if truth is None else {name: dict(zip(metrics, truth, strict=True))},
        "probability": 0.9,
        "coverage": {
            "heldout": {"random": {"inside": 43, "n": 48}, "structured": {"inside": 5, "n": 10}}
        },
    }
    estimate = {"value": 3.0, "low": 2.9, "high": 3.1}
    shown = {"name": name, "estimates": dict.fromkeys(metrics, estimate), "beyond": list(beyond)}
    return run_scripts(browser, ("svg", "estimates", "order_note"), NOTE, record, shown)


def test_a_retrained_order_beyond_the_range_is_not_to_be_retrained(browser):
    new, is_warning = note_of(browser, "", ["heldout"])
    assert is_warning
    assert "Retrain this order before you use it." in new
    known, _ = note_of(browser, "random-0", ["heldout"], truth=(3.2, 3.2))
    assert "Retrain this order" not in known
    assert "use its true losses" in known


def test_the_note_says_how_often_a_truth_lies_outside(browser):
    text, is_warning = note_of(browser, "reference", truth=(3.3276, 3.0))
    assert not is_warning
    assert "true loss of 90 % of random orders" in text
    assert "48 held-back random orders, which were retrained, 43 (90 %)" in text
    assert "held-out loss, 3.3276, lies outside, as for 5 of the 48 held-back random orders" in text
    assert "1 of its 2 true losses lies outside" in text
    inside, _ = note_of(browser, "random-0", truth=(3.0, 3.0))
    assert "lies inside. All its 2 true losses lie inside" in inside
    assert "is not a random order" not in inside


def test_the_note_says_that_intervals_are_not_calibrated_for_deliberate_orders(browser):
    own, _ = note_of(browser, "")
    assert "This order is your own, not a random one, so its intervals are not calibrated" in own
    assert "its true loss is unknown" in own
    sorted_, is_warning = note_of(
        browser, "sorted", ["heldout", "heldout/code"], "structured", (3.2, 3.2)
    )
    assert "sorted is not a random order, so its intervals are not calibrated for it" in sorted_
    assert "Of the 10 structured orders like it, 5 have" in sorted_
    assert "as for" not in sorted_, "a deliberate order is compared with random ones"
    assert "All its 2 true losses lie outside" in sorted_
    assert is_warning
    assert "Beyond the calibrated range: “held-out loss”, “held-out loss, code”." in sorted_


def test_the_page_speaks_of_held_out_losses_and_not_of_ids(page):
    page.find_element("id", "keep").click()
    text = page.find_element("tag name", "body").text
    assert "held-out loss" in text
    assert not re.search(r"\bheldout\b", text), "the page shows the id of a metric"


def test_own_orders_that_are_kept_have_numbers(page):
    for _ in range(2):
        page.find_element("id", "sortLoss").click()
        page.find_element("id", "keep").click()
    text = page.find_element("id", "comparison").text
    assert "A: own order 1" in text
    assert "B: own order 2" in text


def test_a_spread_is_that_of_the_results_file(page, finished):
    results, names = Study.open(finished.results).results, record_of(finished)["names"]
    titles = page.find_elements("css selector", "#plots .plotTitle")
    shown = {title.find_element("css selector", "b").text: title.text for title in titles}
    for metric, name in names.items():
        random = results.validation["spread"][metric]["random"]
        value = state(page)["estimates"][metric]["value"]
        size = f"{abs(value - random['mean']) / random['std']:.1f}"
        text = "like the mean random order" if size == "0.0" else f"{size} spreads "
        assert text in shown[name], f"{shown[name]}: not {text}"


@pytest.fixture(scope="module")
def large(finished, tmp_path_factory):
    """Return the address of the page with 256 units in 256 steps, of random numbers."""
    record, rng = record_of(finished), np.random.default_rng(0)
    many, q, r, knots = 256, 192, 96, 9
    goals = record["model"]["goals"]
    sizes = {
        "coefficients": (knots, many, q),
        "clusterCores": (1, 2, r, q),
        "unitCores": (many, 12, q),
        "unitReaders": (12, r),
        "steps": (knots, r + 8 * len(goals), 3, q),
        "drifts": (knots, 3, r + 8 * len(goals)),
    }
    arrays = {name: 0.01 * rng.standard_normal(size) for name, size in sizes.items()}
    ones = [1.0] * many
    record["model"] |= {
        "knots": np.linspace(0, many - 1, knots).astype(int).tolist(),
        "rates": [0.001] * many,
        "decay": ones,
        "corrections": ones,
        "probedSteps": [0],
        "clipping": None,
        "labels": (np.arange(many) % 2).tolist(),
        "responses": np.zeros((many, 2)).tolist(),
        "readouts": list(range(32, many + 1, 32)),
        "losses": [[3.0] * len(goals)] * 8,
        "unitLosses": ones,
        "arrays": {name: packed(values, 2, 16) for name, values in arrays.items()},
    }
    domains = sorted(set(record["unitDomains"]))
    record["unitDomains"] = [domains[unit % len(domains)] for unit in range(many)]
    record |= {
        "orders": {"reference": list(range(many))},
        "groups": {"reference": "reference"},
        "maps": {
            quantity: {way: packed(rng.standard_normal((many, many)), 1, 10) for way in ways}
            for quantity, ways in record["maps"].items()
        },
    }
    record["rules"] |= {"pinned": [], "quotas": [], "furthest": None}
    source = (finished.results / "explorer.html").read_text(encoding="utf-8")
    before, after = re.split(r'(?<=id="record">).*?(?=</script>)', source, maxsplit=1, flags=re.S)
    path = tmp_path_factory.mktemp("large") / "explorer.html"
    path.write_text(before + explorer.embedded_json(record) + after, encoding="utf-8")
    return path.as_uri()


DRAG = """
const [from, to] = arguments, done = arguments[2];
const block = (place) => document.querySelector(`#strip [data-place="${place}"]`);
const send = (name, place) => {
  const box = block(place).getBoundingClientRect();
  block(place).dispatchEvent(new PointerEvent(name, {
    bubbles: true, buttons: 1, clientX: box.x + box.width / 2, clientY: box.y + box.height / 2,
  }));
};
const before = window.explorer.raw;
send("pointerdown", from);
send("pointermove", to);
(function wait() {
  if (window.explorer.raw === before) { requestAnimationFrame(wait); return; }
  send("pointerup", to);
  requestAnimationFrame(() => done());
}());
"""


def busy_seconds(page):
    """Return the processor time of the page so far, which other processes do not change."""
    page.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    metrics = page.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def test_a_drag_among_256_units_takes_less_than_100_milliseconds(browser, large):
    browser.get(large)
    assert len(blocks(browser)) == 256
    drags, before = range(6, 18), busy_seconds(browser)
    for place in drags:
        browser.execute_async_script(DRAG, 4, place)
    seconds = (busy_seconds(browser) - before) / len(drags)
    moved = units(browser)
    assert moved != sorted(moved), "the drags moved nothing"
    assert seconds < 0.1, f"a drag takes {1000 * seconds:.0f} milliseconds"
    width = browser.execute_script("return document.documentElement.scrollWidth")
    assert width <= 1200, "the page is wider than the window"
    assert not severe(browser), severe(browser)


def wait(page, condition, message, seconds=20):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page, seconds, poll_frequency=0.05).until(lambda _: condition(), message)


def test_a_named_order_is_shown_with_its_truth(page, finished):
    from selenium.webdriver.support.select import Select

    Select(page.find_element("id", "order")).select_by_value("reversed")
    study = Study.open(finished.results)
    assert state(page)["schedule"] == study.orders["reversed"].schedule.tolist()
    check(page, finished)
    true = study.results.truth["reversed"]["heldout"]
    assert f"{true:.4f}" in page.find_element("id", "estimates").text


def test_the_page_shows_its_verdict_and_loads_no_other_file(page, finished):
    text = page.find_element("css selector", ".verdict").text
    assert Study.open(finished.results).results.score("reduced@barycentre")["verdict"] in text
    source = (finished.results / "explorer.html").read_text(encoding="utf-8")
    for way in ("src=", 'href="http', "@import", "fetch("):
        assert way not in source, f"the page loads a file: {way}"


def notes(page):
    """Yield for each order and metric: is it marked as outside, is it outside, and the text."""
    record = page.execute_script("return JSON.parse(document.getElementById('record').textContent)")
    shown = page.execute_script(
        "const choice = document.getElementById('order');"
        "return arguments[0].map((name) => {"
        "  choice.value = name; choice.onchange();"
        "  const rows = [...document.querySelectorAll('#estimates tr')];"
        "  const cells = rows.map((row) => [...row.children].map((cell) => cell.textContent));"
        "  return [window.explorer.estimates, cells];"
        "});",
        list(record["orders"]),
    )
    for name, (estimates, rows) in zip(record["orders"], shown, strict=True):
        truth = record["truth"].get(name)
        metrics = {shown: metric for metric, shown in record["names"].items()}
        for row in rows:
            metric, note = metrics[row[0]], row[-1]
            low, high = estimates[metric]["low"], estimates[metric]["high"]
            missed = bool(truth) and low is not None
            missed = missed and not low - CLOSE <= truth[metric] <= high + CLOSE
            yield "outside the interval" in note, missed, f"{name}: {metric}: {note}"


def test_a_retrained_value_outside_its_interval_is_marked(browser, finished, tmp_path):
    """Check the page, and a page with intervals that are a thousand times narrower."""
    page = (finished.results / "explorer.html").read_text(encoding="utf-8")
    narrow = re.sub(r'("residual": ?\[)([^]]*)(\])', shrunk, page)
    for name, text in (("page", page), ("narrow", narrow)):
        path = tmp_path / f"{name}.html"
        path.write_text(text, encoding="utf-8")
        browser.get(path.as_uri())
        rows = list(notes(browser))
        assert all(marked == missed for marked, missed, _ in rows), [
            text for marked, missed, text in rows if marked != missed
        ]
    assert any(missed for _, missed, _ in rows), "no interval was narrowed"


def shrunk(match):
    numbers = re.sub(r"[0-9][0-9.e-]*(?=[,}]|$)", lambda n: str(float(n[0]) / 1000), match[2])
    return f"{match[1]}{numbers}{match[3]}"


def test_a_saved_order_of_the_study_can_be_used_as_a_custom_order(page, finished, tmp_path):
    from selenium.webdriver.support.select import Select

    from trainorder.config.sections.window import WindowConfig
    from trainorder.orders.user_files import read_orders

    page.execute_script(
        "window.saved = null; URL.createObjectURL = blob => {"
        " blob.text().then(text => { window.saved = text; }); return 'about:blank#'; };"
        " HTMLAnchorElement.prototype.click = () => {};"
    )
    Select(page.find_element("id", "order")).select_by_value("reversed")
    page.find_element("id", "save").click()
    text = page.execute_async_script(
        "const done = arguments[0];"
        "(function wait() { window.saved ? done(window.saved) : setTimeout(wait, 20); }());"
    )
    (tmp_path / "order.json").write_text(text, encoding="utf-8")
    study = Study.open(finished.results)
    [order] = read_orders(tmp_path / "order.json", WindowConfig(**study.config["window"]))
    assert order.name == "my-reversed"
    assert order.schedule.tolist() == study.orders["reversed"].schedule.tolist()
