"""The studies of a real pretrained model and their page."""

import pytest

from bench import pretrained_rows, rows
from bench.grid import Cell
from bench.pretrained_page import markdown
from trainorder.config.sections.ladder import LadderConfig
from trainorder.config.sections.model import PACKAGED_MODEL_FOLDER
from trainorder.config.sections.window import WindowConfig
from transfer_records import cell, entry

LABELS = ["all parameters, T = 8", "LoRA, T = 8", "all parameters, T = 16", "LoRA, T = 16"]


def measured(label, **changes):
    """Return a made-up record of a study, as its cell completes it."""
    [own] = [one for one in pretrained_rows.cells() if one.label == label]
    level = entry(seconds_per_order=13.0, bytes=2.5e9, **changes)
    numbers = {"parameters": 134_515_008, "spread": 0.0034, "retraining_seconds": 28.0}
    config = own.study.config()
    record = {**cell(label, **{"corrected": level}), **numbers, "peak_bytes": 6e9}
    return own.as_row({**record, "config": config})


def rows_of(page):
    return [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]


def test_each_study_trains_the_packaged_model_as_its_label_says(top):
    assert [one.label for one in pretrained_rows.cells()] == LABELS
    for one in pretrained_rows.cells():
        config = one.study.config()
        assert config["model"]["source"] == PACKAGED_MODEL_FOLDER
        assert (config["model"].get("lora") is not None) == one.label.startswith("LoRA")
        assert f"T = {config['window']['units']}" in one.label
        assert config["orders"]["calibration"] == config["orders"]["random"] == 12


def test_two_of_eight_sequences_are_the_only_level_of_the_ladder(top):
    for one in pretrained_rows.cells():
        config = one.study.config()
        window = WindowConfig(**config["window"])
        assert window.unit_size == 8
        assert LadderConfig(**config["ladder"]).sizes(window) == [2]
        [known_run] = [e for e in config["estimators"] if e["method"] == "corrected"]
        assert not known_run.get("runs"), "the reference alone is a known run"


def test_a_job_uses_all_cores_of_its_study(top):
    for one in pretrained_rows.cells():
        assert one.study.config()["threads"] == one.cores, "two such models may not fit in memory"


def test_the_texts_are_four_domains_and_the_seeds_those_of_no_other_row(top):
    others = {one.study.config()["seeds"]["data"] for one in rows.cells()}
    for one in pretrained_rows.cells():
        config = one.study.config()
        names = [path.rpartition("/")[2] for path in config["corpus"]["files"]]
        assert names == ["german.txt", "portuguese.txt", "russian.txt", "django.txt"]
        assert config["seeds"]["data"] not in others


def test_the_page_shows_scores_and_costs_and_names_what_is_missing(top):
    page = markdown({"cells": [measured(LABELS[0], rank=0.97)], "missing": LABELS[1:]})
    scores, costs = (row for row in rows_of(page) if row[0] == LABELS[0])
    assert scores[2] == "0.0034"
    assert scores[3].startswith("0.97 [")
    assert scores[-1] == "yes"
    assert costs[1:4] == ["134,515,008", "28 s", "13 s"]
    assert costs[5:] == ["2.5 GB", "6 GB"]
    assert "Not measured yet: LoRA, T = 8; all parameters, T = 16; LoRA, T = 16." in page


def test_a_missed_target_is_on_the_page_with_its_number(top):
    page = markdown({"cells": [measured(LABELS[1], rank=0.7, error=0.6)], "missing": ()})
    [scores, _] = (row for row in rows_of(page) if row[0] == LABELS[1])
    assert "order-LDS 0.7 instead of 0.9; relative error 0.6 instead of 1/2" in scores[-1]


def test_a_diverged_study_has_scores_without_numbers_and_no_costs(top):
    record = measured(LABELS[0])
    diverged = {name: record[name] for name in ("label", "values", "target", "made", "config")}
    page = markdown({"cells": [diverged], "missing": ()})
    [scores] = (row for row in rows_of(page) if row[0] == LABELS[0])
    assert scores[-1] == "training diverged"


def test_the_command_measures_one_row_and_writes_the_page(top, monkeypatch):
    monkeypatch.setattr(Cell, "measure", lambda self, cores: measured(self.label))
    monkeypatch.setattr(pretrained_rows.answers, "write", lambda: None)
    pretrained_rows.main(["--only", "lora-steps8"])
    page = (top / "docs/measured/pretrained.md").read_text(encoding="utf-8")
    assert LABELS[1] in {row[0] for row in rows_of(page)}
    assert f"Not measured yet: {LABELS[0]};" in page
    assert pretrained_rows.grid().rows().keys() == {"lora-steps8"}


def test_the_page_of_no_measured_study_says_so():
    page = markdown({"cells": [], "missing": LABELS})
    assert not rows_of(page)
    assert "Not measured yet: all parameters, T = 8;" in page


@pytest.mark.parametrize("corpus", pretrained_rows.DOMAINS)
def test_every_corpus_that_is_read_is_written_first(top, monkeypatch, corpus):
    written = []
    monkeypatch.setattr(pretrained_rows.corpora, "write", written.append)
    for one in pretrained_rows.cells():
        written.clear()
        one.prepare()
        assert corpus in written
