"""The studies of transfer, their cache and their page."""

import copy

import pytest

from bench import grid, transfer
from bench.transfer_page import markdown

pytestmark = pytest.mark.slow
RANK = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 32}


def entry(share, error):
    return {
        "order_lds": RANK,
        "relative_error": error,
        "raw_relative_error": 2 * error,
        "per_order_retrainings": 0.16,
        "precompute_retrainings": 2.0,
        "coverage": {"value": share, "low": 0.7, "high": 1.0, "n": 32},
        "verdict": "trusted",
    }


def cell(label, **estimators):
    made = {
        "versions": {"python": "3.11", "torch": "2", "transformers": "5"},
        "machine": {"processor": "a processor", "cores": 2},
    }
    config = transfer.cells()[0].study.config()
    growth = {"value": 0.63, "low": 0.5, "high": 0.8, "n": 3}
    return {
        "label": label,
        "made": made,
        "config": config,
        "growth": growth,
        "estimators": {"constant@reference": entry(1.0, 9.0), **estimators},
    }


def test_each_study_changes_the_default_in_what_its_name_says(top):
    configs = {one.label: one.study.config() for one in transfer.cells()}
    assert [configs[f"default, seed {seed}"]["seeds"]["order"] for seed in range(3)] == [0, 1, 2]
    assert [configs[f"T = {steps}"]["window"]["units"] for steps in (64, 128, 256)] == [
        *(64, 128, 256)
    ]
    assert configs["from scratch"]["window"]["warmup_steps"] == 0
    assert configs["constant rate, domain batches"]["optimizer"]["schedule"] == "constant"
    assert configs["constant rate, mixed batches"]["window"]["mixed_fraction"] == 1.0
    plain = copy.deepcopy(configs["default, seed 0"])
    for label, config in configs.items():
        assert config["model"] == plain["model"], label
        assert config["corpus"] == plain["corpus"], label


def test_the_page_names_the_worst_coverage_and_error_and_leaves_out_the_baseline(top):
    record = {
        "cells": [
            cell("one", **{"corrected4@reference": entry(0.9, 0.5)}),
            cell("two", **{"corrected4@reference": entry(0.8, 0.7)}),
        ],
        "missing": ["three", "four"],
    }
    page = markdown(record)
    assert "of 0.850 of 64 estimates, and of 0.800 in the worst row" in page
    assert "The largest recalibrated relative error is 0.70." in page
    assert "Not measured yet: three; four." in page
    assert "constant@reference" not in page
    assert page.count("`corrected4@reference`") == 2


def test_only_finished_studies_are_shown(top, tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "FOLDER", tmp_path)
    one, other = transfer.cells()[:2]
    monkeypatch.setattr(grid, "_measure", lambda study, cores: {"name": study.name})
    grid.measured("transfer", [other], None)
    records = grid.finished("transfer", [one, other])
    assert [record["name"] for record in records] == ["transfer-seed1"]
