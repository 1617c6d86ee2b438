"""The order explorer in a real browser: it shows the numbers that Python computes."""

import os
import re
import shutil
from contextlib import contextmanager
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
from trainorder.curvature.build_reduced_model import build_reduced_model
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.curvature.probe_schedules import probe_schedules
from trainorder.evaluation.recalibration import Recalibration
from trainorder.explorer import page as explorer
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


def state(page):
    return page.execute_script("return window.explorer")


def expected(finished, schedule):
    """Return the estimates that Python computes from the same files, in double precision."""
    study = Study.open(finished.results)
    reduced = study.reduced
    for name, value in vars(reduced).items():
        if isinstance(value, torch.Tensor):
            setattr(reduced, name, value.double())
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
        assert cell.text == f"{estimate.value:.4f}", f"the table shows a wrong {metric}"


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
    browser.get("about:blank")
    script = (Path(explorer.__file__).parent / "reduced.js").read_text()
    call = "return predictLosses(decodeModel(arguments[0]), arguments[1]);"
    for schedule in schedules[:4]:
        shown = browser.execute_script(
            script + call, explorer.model_record(reduced), schedule.tolist()
        )
        assert shown == pytest.approx(reduced.predict(schedule[None])[0].tolist(), abs=1e-12)


@pytest.mark.parametrize("n", [0, 8, 24])
def test_the_page_recalibrates_as_python_does(n, browser):
    rng = np.random.default_rng(n)
    true = rng.standard_normal(n)
    fitted = Recalibration.fitted(true + rng.standard_normal(n), true, 0.9)
    script = (Path(explorer.__file__).parent / "recalibration.js").read_text()
    call = "return recalibrated(arguments[0], arguments[1]);"
    browser.get("about:blank")
    for raw in (-9.0, 0.25, 9.0):
        shown = browser.execute_script(script + call, fitted.record(), raw)
        assert shown == pytest.approx(fitted.estimate(raw)._asdict(), abs=1e-12)


def test_the_page_opens_on_the_reference_order_without_an_error(page, finished):
    reference = Study.open(finished.results).orders["reference"].schedule.tolist()
    assert state(page)["schedule"] == reference
    check(page, finished)
    assert "−0.0000" not in page.find_element("id", "estimates").text, (
        "a difference of zero has a minus sign"
    )
    severe = [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    assert not severe, severe


def test_a_drag_moves_a_unit_and_shows_what_python_computes(page, finished):
    from selenium.webdriver import ActionChains

    before = state(page)
    blocks = page.find_elements("css selector", "#strip button.block")
    ActionChains(page).click_and_hold(blocks[0]).move_to_element(blocks[4]).release().perform()
    after = state(page)
    flat = [unit for step in before["schedule"] for unit in step]
    flat.insert(4, flat.pop(0))
    assert [unit for step in after["schedule"] for unit in step] == flat
    assert after["raw"] != before["raw"], "the drag changed no number"
    check(page, finished)


def test_an_arrow_key_moves_the_focused_unit(page, finished):
    from selenium.webdriver.common.keys import Keys

    before = state(page)["schedule"]
    page.find_elements("css selector", "#strip button.block")[1].send_keys(Keys.ARROW_RIGHT)
    flat = [unit for step in before for unit in step]
    flat[1], flat[2] = flat[2], flat[1]
    assert [unit for step in state(page)["schedule"] for unit in step] == flat
    check(page, finished)


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
    from selenium.webdriver.support.select import Select

    record = page.execute_script("return JSON.parse(document.getElementById('record').textContent)")
    for name in record["orders"]:
        Select(page.find_element("id", "order")).select_by_value(name)
        estimates, truth = state(page)["estimates"], record["truth"].get(name)
        for row in page.find_elements("css selector", "#estimates tr"):
            metric = row.find_element("tag name", "th").text
            low, high = estimates[metric]["low"], estimates[metric]["high"]
            missed = bool(truth) and low is not None
            missed = missed and not low - CLOSE <= truth[metric] <= high + CLOSE
            yield "outside the interval" in row.text, missed, f"{name}: {row.text}"


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

    from trainorder.config.sections import WindowConfig
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
