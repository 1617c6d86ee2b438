"""Measured tables are quoted between the marks of the README and the docs."""

import importlib.util
import shutil

import pytest

from bench.applications_page import in_short
from bench.config_hash import config_hash
from bench.studies import Study
from speed_records import RECORD
from trainorder.errors import UserError
from trainorder.storage.formats import read_json, write_json
from workflow_tree import ROOT

pytestmark = pytest.mark.slow

QUOTING = ("README.md", "docs/performance.md", "docs/choose_estimator.md")


@pytest.fixture
def quote(top, monkeypatch):
    """Return the module that quotes, writing to copies of the pages."""
    spec = importlib.util.spec_from_file_location("quote", ROOT / "docs/quote_results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (top / "docs/figures").mkdir(parents=True, exist_ok=True)
    for page in QUOTING:
        shutil.copy(ROOT / page, top / page)
    monkeypatch.setattr(module, "TOP", top)
    monkeypatch.setattr(module, "DOCS", top / "docs")
    return module


def outside_of_marks(page, name):
    """Return the text of a page before and after the quoted part `name`."""
    return page.split(f"<!-- {name} -->")[0], page.split(f"<!-- /{name} -->")[1]


def test_the_page_on_performance_quotes_the_speed(quote, top, monkeypatch):
    monkeypatch.setattr("sys.argv", ["quote_results.py", "--speed"])
    write_json(top / "results/bench/speed.json", RECORD)
    page = top / "docs/performance.md"
    before = page.read_text()
    quote.main()
    after = page.read_text()
    assert "6,000" in after
    assert outside_of_marks(after, "speed") == outside_of_marks(before, "speed")
    quote.main()
    assert page.read_text() == after, "quoting twice changes the page"


def test_a_single_study_is_quoted_with_the_hash_of_its_configuration(
    synthetic_study, quote, top, monkeypatch
):
    shutil.copytree(synthetic_study.results, top / "results/mine")
    figure = top / "results/mine/figures/overview.png"
    figure.parent.mkdir(parents=True, exist_ok=True)
    figure.write_bytes(b"png")
    monkeypatch.setattr("sys.argv", ["quote_results.py", "results/mine"])
    before = (top / "README.md").read_text()
    quote.main()
    config = read_json(top / "results/mine/validation.json")["provenance"]["config"]
    for page in ("README.md", "docs/choose_estimator.md"):
        text = (top / page).read_text()
        assert "Study `synthetic`" in text
        assert f"configuration `{config_hash(config)}`" in text
    after = (top / "README.md").read_text()
    assert outside_of_marks(after, "results") == outside_of_marks(before, "results")
    assert (top / "docs/figures/overview.png").read_bytes() == b"png"


def test_the_readme_has_the_measured_gains_of_searched_orders():
    text = in_short(read_json(ROOT / "docs/measured/applications.json"))
    assert text in (ROOT / "README.md").read_text(encoding="utf-8"), (
        "quote them with `python docs/quote_results.py results/default`"
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "name a folder of results, or one of --published, --speed"),
        (["--speed"], r"speed.json: no such file"),
        (["results/none"], r"validation.json: no such file"),
    ],
)
def test_quoting_nothing_raises_one_line(quote, monkeypatch, arguments, line):
    monkeypatch.setattr("sys.argv", ["quote_results.py", *arguments])
    with pytest.raises(SystemExit, match=f"error: .*{line}"):
        quote.main()


def test_a_study_without_a_file_raises_one_line(top):
    write_json(top / "results/mine/validation.json", {})
    with pytest.raises(UserError, match=r"results/mine/.*: no such file; rerun rule"):
        Study("mine").read()
