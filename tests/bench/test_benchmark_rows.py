"""The rows of the benchmark, and their page."""

import dataclasses

import pytest

from bench import corpora, grid, rows
from bench.equal_compute_page import EQUAL_COMPUTE
from bench.targets import CHEAP
from bench.transfer_page import OTHER_CORPORA, markdown
from trainorder.config.loading import load_config
from transfer_records import cell, entry, stack

pytestmark = pytest.mark.slow
AVERAGED = ("order_lds", "relative_error", "coverage")


def test_each_study_changes_the_default_in_what_its_name_says(top):
    configs = {one.label: one.study.config() for one in rows.cells()}
    assert [configs[f"default, seed {seed}"]["seeds"]["order"] for seed in range(3)] == [0, 1, 2]
    assert [configs[f"T = {steps}"]["window"]["units"] for steps in (64, 128, 256)] == [
        *(64, 128, 256)
    ]
    assert configs["from scratch"]["window"]["warmup_steps"] == 0
    assert configs["constant rate, domain batches"]["optimizer"]["schedule"] == "constant"
    assert configs["constant rate, mixed batches"]["window"]["mixed_fraction"] == 1.0
    assert configs["1,024 sequences per step, T = 16"]["window"]["unit_size"] == 1024
    wider = load_config("config.yaml", "presets/wider.yaml")
    assert configs["wider, its best rate"]["optimizer"] == wider["optimizer"]
    assert configs["wider, its best rate"]["model"] == wider["model"]
    plain = configs["default, seed 0"]
    for label, config in configs.items():
        if not label.startswith("wider"):
            assert config["model"] == plain["model"], label
        if not label.startswith("corpus"):
            assert config["corpus"] == plain["corpus"], label


def test_only_the_rows_of_the_default_study_have_its_estimators(top):
    default = load_config("config.yaml")["estimators"]
    for one in rows.cells():
        baseline, *estimators = one.study.config()["estimators"]
        if one.values["group"] == EQUAL_COMPUTE:
            assert not any("orders" in entry for entry in estimators), "a method skips orders"
            continue
        has_cheap = one.name.startswith(("seed", "twice"))
        is_default = has_cheap or one.name == "best-rate"
        expected = ["corrected", *(["nystrom", "reduced"] if is_default else [])]
        assert baseline["method"] == "constant", one.label
        methods = [entry["method"] for entry in estimators]
        assert sorted(methods) == expected, one.label
        assert (CHEAP in one.target) == has_cheap, one.label
        if is_default:
            assert all(entry in default for entry in one.study.layer["estimators"]), one.label


def test_another_corpus_has_its_files_pure_domains_and_seeds_of_its_own(top):
    others = [one for one in rows.cells() if one.values["group"] == OTHER_CORPORA]
    seeds = [one.study.config()["seeds"]["data"] for one in rows.cells()]
    assert len(others) == 6
    for name, one in zip(corpora.CORPORA, others, strict=True):
        config = one.study.config()
        assert config["corpus"]["files"] == [str(path) for path in corpora.files(name)]
        assert config["window"]["mixed_fraction"] == 0
        assert config["window"]["units"] == 48
        assert seeds.count(config["seeds"]["data"]) == 1, f"{name}: another study has its seeds"


def page_of(*cells, missing=()):
    config = rows.cells()[0].study.config()
    return markdown({"cells": [{**one, "config": config} for one in cells], "missing": missing})


def test_the_page_names_the_worst_coverage_and_error_and_leaves_out_the_baseline(top):
    low = {"value": 0.8, "low": 0.7, "high": 1.0, "n": 32}
    page = page_of(
        cell("one", level=entry(error=0.5)),
        cell("two", level=entry(error=0.7, coverage=low)),
        missing=["three", "four"],
    )
    assert "of 0.850 of 64 estimates, and of 0.800 in the worst row" in page
    assert "The largest recalibrated relative error is 0.70." in page
    assert "Not measured yet: three; four." in page
    assert "constant@reference" not in page
    assert page.count("| `level@reference` |") == 2 * 2, "a row of two tables is missing"


def test_an_estimate_that_is_not_finite_is_shown_and_is_not_the_worst_row(top):
    unknown = {"value": None, "low": None, "high": None, "n": 32}
    page = page_of(
        cell("one", level=entry(error=0.5)),
        cell(
            "two",
            target={"relative_error": 0.6},
            level=entry(rank=None, relative_error=None, coverage=unknown, verdict="not trusted"),
        ),
    )
    assert "of 0.900 of 32 estimates, and of 0.900 in the worst row" in page
    assert "The largest recalibrated relative error is 0.50." in page
    assert "* two (growth 0.63): relative error undefined instead of 0.6" in page
    only = page_of(cell("two", level=entry(relative_error=None, coverage=unknown)))
    assert "Over all rows" not in only


def test_the_page_says_which_targets_are_met_and_names_the_worst_studies(top):
    target = {"order_lds": 0.9}
    page = page_of(
        cell("one", target=target, level=entry(0.95)),
        cell("two", growth=1.6, target=target, level=entry(0.5)),
        cell("three", group=OTHER_CORPORA, target=target, level=entry(0.91)),
        cell("four", level=entry(0.1)),
    )
    lines = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    assert [line[-1] for line in lines[2:6]] == ["yes |", "no |", "yes |", "– |"]
    assert "is **two** with 0.50 [0.40, 0.55], growth 1.6." in page
    assert "The worst of the other corpora is **three**" in page
    assert "2 of 3 targets are met." in page
    assert "* two (growth 1.6): order-LDS 0.5 instead of 0.9" in page


def test_a_cheap_estimator_has_a_row_of_its_own(top):
    target = {"order_lds": 0.9, CHEAP: {"order_lds": 0.95, "per_order_retrainings": 1 / 20}}
    page = page_of(cell("one", target=target, level=entry(0.92), fast=entry(0.93, per_order=0.0)))
    lines = [line for line in page.splitlines() if line.startswith("| one")]
    assert "`level@reference` (0.16) | 0.92 [0.82, 0.97], 32 | 0.5 | yes |" in lines[0]
    assert lines[1].startswith("| one, cheap | ")
    assert "order-LDS ≥ 0.95; per order ≤ 1/20 | `fast@reference` (0) |" in lines[1]
    assert lines[1].endswith("| no |")
    assert (
        "* one (growth 0.63): cheap estimator: order-LDS 0.93 instead of 0.95. Limited by the "
        "directions of curvature that its precompute buys (error of the parameters 0.4)"
    ) in page


def test_estimators_with_too_little_coverage_are_named(top):
    rare = {"value": 0.75, "low": 0.6, "high": 0.9, "n": 32}
    page = page_of(cell("one", level=entry(coverage=rare), other=entry()))
    assert "in a study of 32 or more orders for: one, `level@reference` (24 of 32)." in page
    assert "No coverage is below 0.8" in page_of(cell("one", level=entry()))
    few = page_of(cell("one", level=entry(coverage=rare | {"n": 16})))
    assert "No coverage is below 0.8" in few, "a study of few orders cannot show low coverage"


def test_costs_stand_with_counts_seconds_and_bytes(top):
    plain = cell("one", level=entry(seconds_per_order=0.5))
    page = page_of(plain, {**cell("two", level=entry()), "job_seconds": 90.0, "peak_bytes": 2e9})
    assert "| one | `level@reference` | 2 | 5 | 0.16 (0.5 s) | 300 MB |" in page
    assert "| two | `level@reference` | 2 | 5 | 0.16 (–) | 300 MB |" in page
    lines = [line for line in page.splitlines() if "| 130,368 | 0.002 | 32 | 4 s |" in line]
    assert [line.split(" | ")[-2:] for line in lines] == [["–", "– |"], ["90 s", "2 GB |"]]
    assert "took 0.025 hours, without 1 whose time is not recorded." in page


def test_a_missed_accuracy_has_its_causes_and_a_missed_cost_has_none(top):
    target = {"order_lds": 0.9, "per_order_retrainings": 1 / 4}
    page = page_of(
        cell("one", growth=1.6, target=target, small=entry(0.6, 0.8), large=entry(0.8, 0.4)),
        cell("two", target=target, level=entry(0.95, per_order=0.3)),
    )
    assert "order-LDS 0.6 instead of 0.9. Limited by growth above 1.2 and noise of the draw" in page
    assert page.count("Limited by") == 1


def test_stacks_are_shown_where_a_study_has_them(top):
    plain = cell("one", level=entry())
    assert "A stack adds" not in page_of(plain)
    page = page_of(plain, {**plain, "stacks": [stack({"level": 0.6, "fast": 0.0})]})
    assert (
        "| one, all, n = 32 | `level` 0.60 | `level` | 0.96 / 0.96 | 0.02 [-0.01, 0.05] |" in page
    )


def test_rows_of_another_page_are_in_the_table_of_targets(top):
    plain = cell("one", level=entry())
    other = {**cell("a model: one", target={"order_lds": 0.9}, level=entry(0.8)), "page": "other"}
    page = markdown({"cells": [plain], "missing": []}, [other])
    assert "| a model: one | 0.63" in page
    assert "* a model: one (growth 0.63): order-LDS 0.8 instead of 0.9" in page
    assert "[other](other.md)" in page
    assert page.count("a model: one") == 3, "table of targets, worst study and list of missed ones"


def test_averaged_weights_are_shown_beside_the_last_ones_where_a_study_has_them(top):
    averaged = {name: entry(rank=0.7, error=0.4)[name] for name in AVERAGED}
    plain, other = cell("one", level=entry()), cell("two", level=entry(averaged=averaged))
    assert "Averaged weights" not in page_of(plain)
    other |= {"spread": 0.01, "averaged_spread": 0.002}
    text = markdown(
        {
            "cells": [
                {**one, "config": {**one["config"], "averaged_states": 16}}
                for one in (plain, other)
            ],
            "missing": (),
        }
    )
    lines = text[text.index("Averaged weights") :].split("\n\n")[1].splitlines()[2:]
    assert [line.split(" | ")[:4] for line in lines] == [
        ["| two", "`level@reference`", "last", "0.01"],
        ["| two", "`level@reference`", "mean of 16", "0.002"],
    ]
    assert "0.70 " in lines[1], "the order-LDS is that of the last weights"
    assert " | 0.4 | 0.9 |" in lines[1]


def test_only_the_studies_at_a_constant_rate_evaluate_averaged_weights(top):
    for one in rows.cells():
        config = one.study.config()
        constant = config["optimizer"]["schedule"] == "constant"
        expected = config["window"]["units"] // 2 if constant else None
        assert config["averaged_states"] == expected, one.label


def test_a_diverged_study_is_on_the_page(top):
    plain = cell("one", level=entry())
    diverged = {key: plain[key] for key in ("values", "made")}
    page = page_of(plain, {**diverged, "label": "two", "target": {"order_lds": 0.9}})
    assert "* two (growth –): training diverged" in page


def test_the_files_of_a_study_are_written_before_it_is_measured(top, monkeypatch):
    events = []
    monkeypatch.setattr(grid, "_measure", lambda study, cores: events.append("measure") or {})
    plain = rows.cells()[0]
    dataclasses.replace(plain, prepare=lambda: events.append("prepare")).measure(None)
    assert events == ["prepare", "measure"]


def test_a_record_has_the_configuration_of_its_row_not_the_one_that_the_study_completed(
    top, monkeypatch
):
    completed = {"config": {"corpus": {"tokenizer": "model"}}, "verdict": "trusted"}
    monkeypatch.setattr(grid, "run", lambda study, cores, targets: None)
    monkeypatch.setattr(grid.Study, "read", lambda study: None)
    monkeypatch.setattr(grid, "summary", lambda results: completed)
    cell = rows.cells()[0]
    record = cell.measure(cores=1)
    assert record["config"] == cell.study.config(), "the row would count as not measured"
