import copy
import csv
import json
import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import stats

import synthetic
from trainorder.errors import UserError
from trainorder.files import read_json
from trainorder.statistics import conformal_radius
from trainorder.store import write_arrays
from trainorder.validation import best_estimator, divergence_threshold, verdict


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    study = synthetic.make(tmp_path_factory.mktemp("study"))
    return study, study.validate()


@pytest.fixture
def small(tmp_path):
    return synthetic.make(tmp_path, random=6, calibration=10)


def rows(path):
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def table(study, estimator, metric="heldout"):
    """Return estimated and true values by order, read from the CSV files."""
    true = {
        r["order"]: float(r["value"]) for r in rows(study.outputs.truth) if r["metric"] == metric
    }
    found = {
        r["order"]: float(r["value"])
        for r in rows(study.outputs.estimates)
        if r["estimator"] == estimator and r["metric"] == metric
    }
    return found, true


def test_rank_correlation_is_that_of_the_written_values(made):
    study, summary = made
    for estimator in ("order0@reference", "taylor1@barycentre"):
        for metric in synthetic.METRICS:
            found, true = table(study, estimator, metric)
            names = [name for name in found if name.startswith("random-")]
            expected = stats.spearmanr([found[n] for n in names], [true[n] for n in names])
            score = summary["estimators"][estimator]["order_lds"][metric]["random"]
            assert score["value"] == pytest.approx(expected.statistic), (
                "rows of another order joined"
            )
            assert score["n"] == len(names)
            assert score["low"] <= score["value"] <= score["high"]


def test_errors_are_those_of_the_written_values(made):
    study, summary = made
    found, true = table(study, "taylor1@reference")
    names = [name for name in found if name.startswith("random-")]
    error = np.array([found[n] - true[n] for n in names])
    effect = np.array([true[n] - true["reference"] for n in names])
    score = summary["estimators"]["taylor1@reference"]
    assert score["mae"]["heldout"]["random"] == pytest.approx(np.abs(error).mean())
    assert score["bias"]["heldout"]["random"] == pytest.approx(error.mean())
    assert score["relative_error"]["heldout"]["random"] == pytest.approx(
        np.abs(error).mean() / np.abs(effect).mean()
    )


def test_predicting_a_constant_has_relative_error_one_and_no_rank(made):
    score = made[1]["estimators"]["constant@reference"]
    assert score["order_lds"]["heldout"]["random"]["value"] is None
    assert score["relative_error"]["heldout"]["random"] == pytest.approx(1.0)
    assert score["parameter_error"]["random"]["mean"] == pytest.approx(1.0, rel=1e-5)
    assert score["verdict"] == "not trusted"
    assert "same value" in score["verdict_reason"]


def test_parameter_error_is_relative_to_the_displacement_from_the_reference(made):
    score = made[1]["estimators"]["taylor1@barycentre"]["parameter_error"]["random"]
    assert score["mean"] == pytest.approx(0.14, rel=0.15), "not divided by the displacement?"
    assert score["low"] < score["mean"] < score["high"]


def test_diverged_orders_are_counted_and_kept(made):
    study, summary = made
    score = summary["estimators"]["fut-unguarded@reference"]
    found, _ = table(study, "fut-unguarded@reference")
    assert len(found) == 75, "a diverged order was dropped from estimates.csv"
    assert any(not math.isfinite(value) for value in found.values()), "a NaN was replaced"
    assert score["diverged"]["count"] == len(score["diverged"]["orders"]) == 74
    assert score["order_lds"]["heldout"]["random"]["n"] == 48, "diverged ones left the correlation"
    assert score["mae"]["heldout"]["random"] is None, "a mean over a NaN was made up"
    assert score["verdict"] == "not trusted"
    partly = summary["estimators"]["fut++@reference"]["diverged"]["orders"]
    limit = divergence_threshold(synthetic.VOCABULARY)
    assert partly == [n for n, v in table(study, "fut++@reference")[0].items() if v > limit]


def test_intervals_come_from_the_calibration_orders_of_the_same_metric(made):
    study, summary = made
    for metric in synthetic.METRICS:
        found, true = table(study, "taylor1@reference", metric)
        residuals = [found[n] - true[n] for n in found if n.startswith("calibration")]
        radius = conformal_radius(residuals, 0.9)
        score = summary["estimators"]["taylor1@reference"]
        assert score["interval_radius"][metric] == pytest.approx(radius)
        inside = [abs(found[n] - true[n]) <= radius for n in found if n.startswith("random-")]
        assert score["coverage"][metric]["random"] == {"value": np.mean(inside), "n": len(inside)}
    for row in rows(study.outputs.estimates):
        if row["estimator"].startswith("taylor2"):
            assert row["low"] == row["high"] == "", "an interval without calibration orders"
    assert "calibration" not in score["coverage"]["heldout"], "coverage on its own calibration"


def test_uncalibrated_estimators_are_not_trusted_and_say_why(made):
    score = made[1]["estimators"]["taylor2@barycentre"]
    assert score["verdict"] == "not trusted"
    assert "not calibrated" in score["verdict_reason"]


def test_the_study_has_the_verdict_of_its_best_calibrated_estimator(made):
    summary = made[1]
    assert summary["best_estimator"] == "taylor1@barycentre"
    assert summary["verdict"] == summary["estimators"]["taylor1@barycentre"]["verdict"] == "trusted"


@pytest.mark.parametrize(
    ("low", "n", "error", "diverged", "expected"),
    [
        (0.81, 16, 0.4, 0, "trusted"),
        (0.81, 16, 0.6, 0, "rank only"),
        (0.81, 16, None, 0, "rank only"),
        (0.79, 16, 0.1, 0, "rank only"),
        (0.49, 16, 0.1, 0, "not trusted"),
        (0.9, 16, 0.1, 1, "not trusted"),
        (0.9, 7, 0.1, 0, "not trusted"),
        (None, 16, 1.0, 0, "not trusted"),
        (None, 0, None, 0, "not trusted"),
    ],
)
def test_verdict_follows_the_documented_rule(low, n, error, diverged, expected):
    rank = {"value": None if low is None else low + 0.05, "low": low, "high": 1.0, "n": n}
    found, reason = verdict(rank, error, diverged)
    assert found == expected, reason
    assert reason


def test_the_best_estimator_is_chosen_without_the_held_back_orders():
    def score(low, calibration_error, random_error):
        rank = {"calibration": {"low": low}, "random": {"low": 1.0 - low}}
        errors = {"calibration": calibration_error, "random": random_error}
        return {
            "verdict": "trusted",
            "order_lds": {"heldout": rank},
            "relative_error": {"heldout": errors},
        }

    assert best_estimator({"a": score(0.9, 0.3, 0.0), "b": score(0.9, 0.2, 9.0)}) == "b"


def test_costs_are_in_retrainings(made):
    study, summary = made
    costs = read_json(study.outputs.costs)
    assert costs["retraining_seconds"] == pytest.approx(1.6)
    assert costs["stages"]["truth"]["jobs"] == 4
    assert costs["stages"]["table"]["retrainings"] == pytest.approx(2 * 28 / 1.6)
    assert costs["stages"]["table"]["bytes"] == 2 * 708_000_000
    costs_of = {name: score["cost"] for name, score in summary["estimators"].items()}
    table_too = costs_of["order0@reference"]
    assert table_too["precompute_retrainings"] == pytest.approx((2 + 56) / 1.6), (
        "path or table lost"
    )
    assert table_too["per_order_retrainings"] == pytest.approx(0.02 / 1.6), "not replay per order"
    assert table_too["bytes"] == 137_000_000 + 2 * 708_000_000
    assert costs_of["taylor1@reference"]["bytes"] == 137_000_000, "Taylor reads no table"
    assert costs_of["constant@reference"]["precompute_retrainings"] == pytest.approx(2 / 1.6)
    assert costs_of["taylor1@barycentre"]["precompute_retrainings"] == pytest.approx(60 / 1.6)


def test_trajectories_end_in_the_orders_parameter_error(made):
    study, summary = made
    found = {}
    for row in rows(study.outputs.trajectories):
        if row["estimator"] == "taylor1@reference":
            found.setdefault(row["order"], {})[int(row["step"])] = float(row["parameter_error"])
    assert set(found["random-0000"]) == set(range(synthetic.STEPS + 1))
    assert set(found["random-0002"]) == {synthetic.STEPS}, "every order has its end"
    assert found["random-0000"][0] == pytest.approx(0, abs=1e-6)
    ends = [along[synthetic.STEPS] for name, along in found.items() if name.startswith("random")]
    mean = summary["estimators"]["taylor1@reference"]["parameter_error"]["random"]["mean"]
    assert mean == pytest.approx(np.mean(ends))


def test_json_holds_no_nan_and_csv_reads_back(made):
    study, summary = made
    for path in (study.outputs.validation, study.outputs.costs):

        def refuse(text, path=path):
            raise AssertionError(f"{path} holds {text}")

        json.loads(Path(path).read_text(), parse_constant=refuse)
    assert read_json(study.outputs.validation) == summary
    truth = {(r["order"], r["metric"]): float(r["value"]) for r in rows(study.outputs.truth)}
    with h5py.File(study.inputs.truth[0]) as file:
        names, values = file["order"].asstr()[()], file["value"][()]
    for name, row in zip(names, values, strict=True):
        for metric, value in zip(synthetic.METRICS, row, strict=True):
            assert truth[name, metric] == value, "digits were lost"


def test_neither_the_order_of_shards_nor_of_metrics_matters(small):
    first = small.validate()
    small.inputs.truth.reverse()
    small.inputs.estimates.reverse()
    rewrite(small.inputs.estimates[0], reverse_metrics)
    rewrite(small.inputs.truth[-1], reverse_metrics)
    again = small.validate()
    first["provenance"] = again["provenance"] = None
    small_metrics = sorted(first.pop("metrics")), sorted(again.pop("metrics"))
    assert small_metrics[0] == small_metrics[1]
    assert again == first, "columns or rows were joined by position"


def reverse_metrics(arrays):
    arrays["metric"] = arrays["metric"][::-1]
    arrays["value"] = arrays["value"][:, ::-1]


def rewrite(path, change, key=synthetic.KEY):
    """Change a shard's arrays and seal it again."""
    with h5py.File(path) as file:
        arrays = {
            name: list(file[name].asstr()[()]) if file[name].dtype == object else file[name][()]
            for name in file
        }
        sealed = {"schema_version", "key", "content_sha256"}
        attributes = {n: v for n, v in file.attrs.items() if n not in sealed}
    change(arrays)
    write_arrays(path, key, arrays, **attributes)


def rename(arrays, field, old, new):
    arrays[field] = [new if name == old else name for name in arrays[field]]


def edit_json(path, change):
    content = read_json(path)
    change(content)
    Path(path).write_text(json.dumps(content))


FAULTS = {
    "missing truth shard": (
        lambda s: Path(s.inputs.truth[1]).unlink(), ["truth/1.h5", "missing", "truth"]),
    "truncated truth shard": (
        lambda s: Path(s.inputs.truth[1]).write_bytes(b"not hdf5"), ["truth/1.h5", "rule `truth`"]),
    "shard of another study": (
        lambda s: rewrite(s.inputs.estimates[0], lambda a: None, key="other"),
        ["constant@reference/0.h5", "another study", "rule `estimate`"]),
    "order of truth unknown": (
        lambda s: rewrite(s.inputs.truth[0], lambda a: rename(a, "order", "reference", "x")),
        ["truth/0.h5", "unknown order `x`", "rule `truth`"]),
    "order of truth twice": (
        lambda s: rewrite(
            s.inputs.truth[0], lambda a: rename(a, "order", "reference", "calibration-0000")),
        ["truth/0.h5", "calibration-0000", "rule `truth`"]),
    "order estimated twice": (
        lambda s: rewrite(
            s.inputs.estimates[1], lambda a: rename(a, "order", "random-0000", "random-0001")),
        ["order0@reference/0.h5", "random-0001", "rule `estimate`"]),
    "truth shard left out": (
        lambda s: s.inputs.truth.pop(), ["no truth of order", "rule `truth`"]),
    "estimator without shards": (
        lambda s: s.inputs.estimates.pop(0), ["constant@reference", "rule `estimate`"]),
    "estimator unknown": (
        lambda s: s.config["estimators"].pop(0), ["unknown estimator `constant@reference`"]),
    "metric unknown to the truth": (
        lambda s: rewrite(
            s.inputs.estimates[0], lambda a: rename(a, "metric", "heldout/drama", "heldout/opera")),
        ["constant@reference/0.h5", "heldout/", "rule `estimate`"]),
    "values cut short": (
        lambda s: rewrite(s.inputs.truth[0], lambda a: a.update(value=a["value"][:-1])),
        ["truth/0.h5", "value", "rule `truth`"]),
    "dataset lost": (
        lambda s: rewrite(s.inputs.truth[0], lambda a: a.pop("sketch")),
        ["truth/0.h5", "incomplete", "rule `truth`"]),
    "sketch of another size": (
        lambda s: rewrite(s.inputs.estimates[0], lambda a: a.update(sketch=a["sketch"][:, :5])),
        ["constant@reference/0.h5", "sketch", "rule `estimate`"]),
    "no reference order": (
        lambda s: edit_json(s.inputs.orders, lambda c: c["orders"].pop(0)),
        ["orders.json", "reference", "rule `orders`"]),
    "unknown split": (
        lambda s: edit_json(s.inputs.orders, lambda c: c["orders"][1].update(split="test")),
        ["orders.json", "`test`", "rule `orders`"]),
    "cost record broken": (
        lambda s: Path(s.inputs.costs[0]).write_text("{}"),
        ["costs/corpus.json", "rule `corpus`"]),
    "no retraining timed": (
        lambda s: [
            edit_json(path, lambda c: c["counts"].clear())
            for path in s.inputs.costs if "costs/truth" in path],
        ["no retraining was timed", "rule `truth`"]),
    "vocabulary lost": (
        lambda s: Path(s.inputs.corpus).write_text("{}"), ["corpus.json", "rule `corpus`"]),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_input_is_one_line_naming_file_and_rule(small, fault):
    spoil, expected = FAULTS[fault]
    small = copy.deepcopy(small)
    spoil(small)
    with pytest.raises(UserError) as error:
        small.validate()
    message = str(error.value)
    assert all(part in message for part in expected), message
    assert "\n" not in message
    assert not Path(small.outputs.validation).exists()
