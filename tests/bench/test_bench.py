"""The command of the benchmark writes the page, its figures and what a new study is told."""

import json
import shutil

import pytest

from bench import bench
from bench.answers import page as answers
from trainorder.evaluation.predictability import class_of, expectation
from trainorder.numerics.resampling import Interval
from trainorder.storage.formats import write_json
from transfer_records import cell, entry
from workflow_tree import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def record(top):
    """Write the record of one measured row, and return it."""
    measured = bench.grid().cells[0]
    made = {**cell("another name", level=entry()), "config": measured.study.config()}
    write_json(top / "docs/measured/transfer.json", {"cells": [made]})
    for page in (bench.CLASSES, answers.PAGE):
        shutil.copy(ROOT / page, top / page)
    return made


def test_the_command_writes_numbers_page_and_figures(record, top):
    bench.main(["--only", "seed0"])
    page = (top / "docs/measured/transfer.md").read_text()
    assert "| default, seed 0 |" in page
    [study] = json.loads((top / bench.RULE).read_text())["studies"]
    assert study["verdict"] == "trusted"
    assert study["growth"] == record["growth"]["value"]
    assert study["class"] == class_of(expectation(Interval(**record["growth"])))
    assert (
        "1 measured study like this: 1 trusted; order-LDS 0.90" in (top / bench.CLASSES).read_text()
    )
    for figure in ("transfer.svg", "cost_accuracy_ladder.svg"):
        assert (top / "docs/figures" / figure).stat().st_size > 5000
        assert f"../figures/{figure}" in page


def test_rows_that_another_command_measured_are_on_the_page(record, top):
    other = cell("LoRA, T = 8", target={"order_lds": 0.9}, level=entry(0.95))
    write_json(top / "docs/measured/pretrained.json", {"cells": [other]})
    bench.main(["--only", "seed0"])
    page = (top / "docs/measured/transfer.md").read_text()
    assert "| SmolLM2-135M: LoRA, T = 8 | 0.63" in page
    assert "[pretrained](pretrained.md)" in page
    stored = json.loads((top / "docs/measured/transfer.json").read_text())
    assert len(stored["cells"]) == 1, "rows of another page are stored twice"
