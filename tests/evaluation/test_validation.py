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
from trainorder.evaluation.paired_outcomes import PairedOutcomes
from trainorder.evaluation.recalibration import Recalibration
from trainorder.evaluation.scores import (
    IntervalSettings,
    diverged_orders,
    divergence_threshold,
    estimator_scores,
)
from trainorder.numerics.resampling import binomial_share
from trainorder.storage.formats import read_json
from trainorder.storage.sealed_hdf5 import write_arrays


@pytest.fixture(scope="module")
def validated(tmp_path_factory):
    study = synthetic.make(tmp_path_factory.mktemp("study"))
    return study, study.validate()


@pytest.fixture
def small(tmp_path):
    return synthetic.make(tmp_path, random=6, calibration=10)


def rows(path):
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def table(study, estimator, metric="heldout", column="value"):
    """Return estimated and true values by order, read from the CSV files."""
    true = {
        r["order"]: float(r["value"]) for r in rows(study.outputs.truth) if r["metric"] == metric
    }
    estimated = {
        r["order"]: float(r[column])
        for r in rows(study.outputs.estimates)
        if r["estimator"] == estimator and r["metric"] == metric
    }
    return estimated, true


def test_the_rank_correlation_is_computed_from_the_written_values(validated):
    study, summary = validated
    for estimator in ("order0@reference", "taylor1@barycentre"):
        for metric in synthetic.METRICS:
            estimated, true = table(study, estimator, metric, "raw")
            names = [name for name in estimated if name.startswith("random-")]
            expected = stats.spearmanr([estimated[n] for n in names], [true[n] for n in names])
            score = summary["estimators"][estimator]["order_lds"][metric]["random"]
            assert score["value"] == pytest.approx(expected.statistic), (
                "an order was joined with the row of another one"
            )
            assert score["n"] == len(names)
            assert score["low"] <= score["value"] <= score["high"]


def test_errors_are_computed_from_the_written_values(validated):
    study, summary = validated
    estimated, true = table(study, "taylor1@reference")
    raw, _ = table(study, "taylor1@reference", column="raw")
    score = summary["estimators"]["taylor1@reference"]
    calibration = [name for name in true if name.startswith("calibration-")]
    for split in ("random", "calibration"):
        names = [name for name in estimated if name.startswith(split)]
        error = np.array([estimated[n] - true[n] for n in names])
        raw_error = np.array([raw[n] - true[n] for n in names])
        no_effect = [np.mean([true[c] for c in calibration if c != n]) for n in names]
        effect = np.abs(np.array(no_effect) - [true[n] for n in names]).mean()
        assert score["mae"]["heldout"][split] == pytest.approx(np.abs(error).mean())
        assert score["bias"]["heldout"][split] == pytest.approx(error.mean(), abs=1e-12)
        assert score["relative_error"]["heldout"][split] == pytest.approx(
            np.abs(error).mean() / effect
        ), f"{split}: not over the error of the mean of the other calibration orders"
        assert score["raw_relative_error"]["heldout"][split] == pytest.approx(
            np.abs(raw_error).mean() / effect
        )


def test_written_estimates_are_recalibrated_on_the_calibration_orders(validated):
    study, summary = validated
    for metric in synthetic.METRICS:
        estimated, true = table(study, "order0@reference", metric)
        raw, _ = table(study, "order0@reference", metric, "raw")
        names = [name for name in estimated if name.startswith("calibration-")]
        x, y = (np.array([values[n] for n in names]) for values in (raw, true))
        fitted = Recalibration.fitted(x, y, 0.9)
        record = summary["estimators"]["order0@reference"]["recalibration"][metric]
        assert record == fitted.record(), "fitted on other orders or on another metric"
        for order, value in estimated.items():
            if order in names:
                others = np.arange(len(names)) != names.index(order)
                fitted_without = Recalibration.fitted(x[others], y[others], 0.9)
                expected = fitted_without.estimate(raw[order]).value
            else:
                expected = fitted.estimate(raw[order]).value
            assert value == pytest.approx(expected, abs=1e-12), order


def test_an_uncalibrated_estimator_is_not_recalibrated(validated):
    study, summary = validated
    for metric in synthetic.METRICS:
        estimated, _ = table(study, "taylor2@barycentre", metric)
        assert estimated == table(study, "taylor2@barycentre", metric, "raw")[0]
        score = summary["estimators"]["taylor2@barycentre"]
        assert score["relative_error"] == score["raw_relative_error"]


def test_predicting_a_constant_has_relative_error_one_and_no_rank(validated):
    score = validated[1]["estimators"]["constant@reference"]
    assert score["order_lds"]["heldout"]["random"]["value"] is None
    for split in ("calibration", "random", "structured"):
        assert score["relative_error"]["heldout"][split] == pytest.approx(1.0)
    assert score["parameter_error"]["random"]["mean"] == pytest.approx(1.0, rel=1e-5)
    assert score["verdict"] == "not trusted"
    assert "the same for all" in score["verdict_reason"]


def test_parameter_error_is_relative_to_the_displacement_from_the_reference(validated):
    score = validated[1]["estimators"]["taylor1@barycentre"]["parameter_error"]["random"]
    assert score["mean"] == pytest.approx(0.14, rel=0.15), "not divided by the displacement?"
    assert score["low"] < score["mean"] < score["high"]


def test_diverged_orders_are_counted_and_kept(validated):
    study, summary = validated
    score = summary["estimators"]["fut-unguarded@reference"]
    estimated, _ = table(study, "fut-unguarded@reference", column="raw")
    assert len(estimated) == 75, "a diverged order was dropped from estimates.csv"
    assert any(not math.isfinite(value) for value in estimated.values()), "a NaN was replaced"
    assert score["diverged"]["count"] == len(score["diverged"]["orders"]) == 74
    assert score["order_lds"]["heldout"]["random"]["n"] == 48, "diverged orders are missing"
    assert score["mae"]["heldout"]["random"] is None, "the mean over a NaN is not None"
    assert score["verdict"] == "not trusted"
    partly = summary["estimators"]["fut++@reference"]["diverged"]["orders"]
    limit = divergence_threshold(synthetic.VOCABULARY)
    raw, _ = table(study, "fut++@reference", column="raw")
    assert partly == [n for n, v in raw.items() if v > limit]


def test_intervals_come_from_the_calibration_orders_of_the_same_metric(validated):
    study, summary = validated
    for metric in synthetic.METRICS:
        raw, true = table(study, "taylor1@reference", metric, "raw")
        score = summary["estimators"]["taylor1@reference"]
        fitted = Recalibration.from_record(score["recalibration"][metric])
        inside = []
        for row in rows(study.outputs.estimates):
            order = row["order"]
            if (row["estimator"], row["metric"]) != ("taylor1@reference", metric):
                continue
            if order.startswith("calibration"):
                assert row["low"] == row["high"] == "", "an interval that contains its own truth"
                continue
            ends = float(row["low"]), float(row["high"])
            assert ends == pytest.approx(fitted.estimate(raw[order])[1:], abs=1e-12)
            if order.startswith("random-"):
                inside.append(ends[0] <= true[order] <= ends[1])
        share = binomial_share(sum(inside), len(inside), 0.95)
        assert score["coverage"][metric]["random"] == share._asdict()
        assert share.low < share.value <= share.high
    for row in rows(study.outputs.estimates):
        if row["estimator"].startswith("taylor2"):
            assert row["low"] == row["high"] == "", "an interval without calibration orders"
    assert "calibration" not in score["coverage"]["heldout"], "coverage on its own calibration"


def test_estimates_beyond_the_calibrated_range_are_flagged_and_counted(validated):
    study, summary = validated
    flags = {}
    for row in rows(study.outputs.estimates):
        if row["metric"] == "heldout":
            flags.setdefault(row["estimator"], {})[row["order"]] = row["beyond"]
    score = summary["estimators"]["order0@barycentre"]
    low, high = score["calibrated_range"]["heldout"]
    for order, value in table(study, "order0@barycentre", column="raw")[0].items():
        assert flags["order0@barycentre"][order] == str(int(not low <= value <= high)), order
    counted = score["beyond"]["heldout"]
    for order in ("domain-sorted", "domain-sorted-reversed", "hard-to-easy"):
        assert flags["order0@barycentre"][order] == "1", f"{order} is far off the random orders"
    structured = [*synthetic.STRUCTURED, *(f"block-{size}" for size in synthetic.BLOCKS)]
    flagged = [order for order in structured if flags["order0@barycentre"][order] == "1"]
    assert counted["structured"] == len(flagged)
    assert counted["calibration"] == 0
    assert set(flags["taylor2@barycentre"].values()) == {""}, "a range without calibration"
    uncalibrated = summary["estimators"]["taylor2@barycentre"]
    assert uncalibrated["calibrated_range"]["heldout"] is None
    assert uncalibrated["beyond"]["heldout"]["random"] is None


def test_an_uncalibrated_estimator_has_its_verdict_and_advice(validated):
    score = validated[1]["estimators"]["taylor2@barycentre"]
    assert score["verdict"] == "not calibrated"
    assert "no calibration order" in score["verdict_reason"]
    assert "orders.calibration" in score["advice"]


@pytest.mark.parametrize("name", ["ridge", "proxy"])
def test_a_baseline_without_parameters_has_no_parameter_error_and_is_scored(validated, name):
    study, summary = validated
    score = summary["estimators"][name]
    assert score["parameter_error"]["random"]["mean"] is None, "it estimates no parameters"
    assert score["order_lds"]["heldout"]["random"]["n"] == 48
    assert score["diverged"]["count"] == 0, "a sketch of NaN counts as diverged"
    assert name not in {row["estimator"] for row in rows(study.outputs.trajectories)}


def test_an_estimator_of_losses_has_no_score_of_a_task_and_has_not_diverged():
    rng = np.random.default_rng(0)
    metrics, orders = ["heldout", "heldout/a", "choice_accuracy"], 30
    true = rng.normal(size=(orders, 3))
    value = true + 0.1 * rng.normal(size=(orders, 3))
    value[:, 2] = np.nan
    paired = PairedOutcomes(
        name="adjoint@reference",
        estimate=None,
        orders=[f"order-{number}" for number in range(orders)],
        splits=np.array(["calibration", "random"] * 15),
        value=value,
        true=true,
        no_effect=np.zeros_like(true),
        parameter_error=np.full(orders, np.nan),
    )
    scores = estimator_scores(paired, metrics, IntervalSettings(200, 0.95, 0.9, 0), 512)
    assert scores["verdict"] == "trusted", "a metric that it does not give counts as diverged"
    assert diverged_orders(paired, metrics, 512)["count"] == 0
    for score in ("order_lds", "coverage"):
        assert scores[score]["choice_accuracy"]["random"]["value"] is None
    assert scores["relative_error"]["choice_accuracy"]["random"] is None
    paired.value[3, 1] = np.nan
    assert diverged_orders(paired, metrics, 512)["orders"] == ["order-3"]


def test_orders_to_fit_on_are_retrained_and_in_no_score(validated):
    study, summary = validated
    assert summary["orders"]["fit"] == 8
    assert "fit-0000" in {row["order"] for row in rows(study.outputs.truth)}
    assert not [r for r in rows(study.outputs.estimates) if r["order"].startswith("fit")]
    for score in summary["estimators"].values():
        assert "fit" not in score["orders"]
        assert "fit" not in score["order_lds"]["heldout"]


def test_the_study_has_the_verdict_of_its_best_calibrated_estimator(validated):
    summary = validated[1]
    assert summary["best_estimator"] == "taylor1@barycentre"
    assert summary["verdict"] == summary["estimators"]["taylor1@barycentre"]["verdict"] == "trusted"


def test_costs_are_in_retrainings(validated):
    study, summary = validated
    costs = read_json(study.outputs.costs)
    assert costs["retraining_seconds"] == pytest.approx(1.6)
    assert costs["retraining_sequences"] == synthetic.RETRAINING
    assert costs["stages"]["truth"]["jobs"] == 4
    assert costs["stages"]["table"]["retrainings"] == 32
    assert costs["stages"]["proxy_warm"]["retrainings"] == 1, "the proxy is 8 times smaller"
    assert costs["stages"]["orders"]["retrainings"] == 1 / 3, "a loss costs a third of a gradient"
    assert costs["stages"]["table"]["wall_seconds"] == 60
    assert costs["stages"]["table"]["bytes"] == 2 * 708_000_000
    costs_of = {name: score["cost"] for name, score in summary["estimators"].items()}
    table_too = costs_of["order0@reference"]
    assert table_too["precompute_retrainings"] == 1 + 32, "path or table lost"
    assert table_too["precompute_seconds"] == pytest.approx(2 + 3 + 56), (
        "path, table or manifest lost, or the loading of a job counted"
    )
    assert table_too["per_order_retrainings"] == 0, "a replay of stored gradients has no passes"
    assert table_too["seconds_per_order"] == pytest.approx(0.02), "not replay per order"
    assert table_too["bytes"] == 137_000_000 + 2 * 708_000_000
    assert costs_of["taylor1@reference"]["bytes"] == 137_000_000, "Taylor reads no table"
    assert costs_of["constant@reference"]["precompute_retrainings"] == 1
    assert costs_of["taylor1@barycentre"]["precompute_retrainings"] == 10
    assert costs_of["taylor1@barycentre"]["per_order_retrainings"] == 1 + 2
    assert costs_of["taylor2@barycentre"]["per_order_retrainings"] == pytest.approx(1 + 2 + 14 / 3)


def test_counted_costs_do_not_depend_on_seconds(small):
    """A slower machine changes the seconds of a study and nothing else."""
    fast = small.validate()["estimators"]
    slower = {"wall_seconds": 7, "seconds": 3}
    for path in small.inputs.costs:
        record = read_json(path)
        record["wall_seconds"] *= slower["wall_seconds"]
        record["seconds"] = {span: s * slower["seconds"] for span, s in record["seconds"].items()}
        Path(path).write_text(json.dumps(record))
    for name, score in small.validate()["estimators"].items():
        for field, value in fast[name]["cost"].items():
            timed = "seconds" in field
            assert (score["cost"][field] == value) != timed or value == 0, f"{name}: {field}"


def test_fitted_baselines_pay_for_the_retrainings_they_are_fitted_on(validated):
    costs = {name: score["cost"] for name, score in validated[1]["estimators"].items()}
    ridge, proxy = costs["ridge"], costs["proxy"]
    assert ridge["precompute_retrainings"] == 8
    assert ridge["precompute_seconds"] == pytest.approx(8 * 1.6 + 0.5)
    assert ridge["per_order_retrainings"] == ridge["evaluation_retrainings"] == 0
    assert ridge["seconds_per_order"] == pytest.approx(0.001)
    assert proxy["precompute_retrainings"] == 8 + 8 / 8 + 1
    assert proxy["precompute_seconds"] == pytest.approx(8 * 1.6 + 4 + 8 * 0.4 + 0.5)
    assert proxy["per_order_retrainings"] == 1 / 8
    assert proxy["evaluation_retrainings"] == 1 / 32 / 8
    assert ridge["bytes"] == proxy["bytes"] == 0


def test_total_compute_is_that_of_all_ranked_orders(validated):
    summary = validated[1]
    for name, score in summary["estimators"].items():
        cost = score["cost"]
        each = cost["per_order_retrainings"] + (cost["evaluation_retrainings"] or 0)
        total = cost["precompute_retrainings"] + 64 * each
        assert cost["total_retrainings"] == pytest.approx(total), name
    assert summary["retrain_all"] == {
        "orders": 64,
        "total_retrainings": 64 * (1 + 1 / 32),
    }


def test_trajectories_end_in_the_orders_parameter_error(validated):
    study, summary = validated
    errors = {}
    for row in rows(study.outputs.trajectories):
        if row["estimator"] == "taylor1@reference":
            errors.setdefault(row["order"], {})[int(row["step"])] = float(row["parameter_error"])
    assert set(errors["random-0000"]) == set(range(synthetic.STEPS + 1))
    assert set(errors["random-0002"]) == {synthetic.STEPS}, "an order has other rows than its end"
    assert errors["random-0000"][0] == pytest.approx(0, abs=1e-6)
    ends = [along[synthetic.STEPS] for name, along in errors.items() if name.startswith("random")]
    mean = summary["estimators"]["taylor1@reference"]["parameter_error"]["random"]["mean"]
    assert mean == pytest.approx(np.mean(ends))


def test_losses_at_every_step_are_beside_the_truth_and_end_in_the_estimate(validated):
    study, _ = validated
    raw, true = table(study, "order0@barycentre", column="raw")
    along = [
        row
        for row in rows(study.outputs.stepwise)
        if row["estimator"] == "order0@barycentre" and row["metric"] == "heldout"
    ]
    assert {row["order"] for row in along} == {"random-0000", "random-0001", "reversed"}
    assert len(along) == 3 * (synthetic.STEPS + 1)
    ends = [row for row in along if int(row["step"]) == synthetic.STEPS]
    for row in ends:
        assert float(row["estimated"]) == pytest.approx(raw[row["order"]], rel=1e-12)
        assert float(row["true"]) == pytest.approx(true[row["order"]], rel=1e-12)


def test_json_contains_no_nan_and_csv_keeps_all_digits(validated):
    study, summary = validated
    for path in (study.outputs.validation, study.outputs.costs):

        def fail(text, path=path):
            raise AssertionError(f"{path} contains {text}")

        json.loads(Path(path).read_text(), parse_constant=fail)
    assert read_json(study.outputs.validation) == summary
    truth = {(r["order"], r["metric"]): float(r["value"]) for r in rows(study.outputs.truth)}
    with h5py.File(study.inputs.truth[0]) as file:
        names, values = file["order"].asstr()[()], file["value"][()]
    for name, row in zip(names, values, strict=True):
        for metric, value in zip(synthetic.METRICS, row, strict=True):
            assert truth[name, metric] == value, "digits were lost"


def test_the_sequence_of_shards_and_metrics_does_not_matter(small):
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
    "duplicate order in the truth": (
        lambda s: rewrite(
            s.inputs.truth[0], lambda a: rename(a, "order", "reference", "calibration-0000")),
        ["truth/0.h5", "calibration-0000", "rule `truth`"]),
    "duplicate order in the estimates": (
        lambda s: rewrite(
            s.inputs.estimates[1], lambda a: rename(a, "order", "random-0000", "random-0001")),
        ["order0@reference/0.h5", "random-0001", "rule `estimate`"]),
    "omitted truth shard": (
        lambda s: s.inputs.truth.pop(), ["has no true outcome", "rule `truth`"]),
    "baseline without shards": (
        lambda s: [s.inputs.estimates.remove(p) for p in s.inputs.estimates[:] if "/ridge/" in p],
        ["estimates/ridge", "rule `ridge`"]),
    "baseline's shard lost": (
        lambda s: [Path(p).unlink() for p in s.inputs.estimates if "/proxy/" in p],
        ["proxy/0.h5", "missing", "rule `proxy`"]),
    "cost of the proxy's training lost": (
        lambda s: [s.inputs.costs.remove(p) for p in s.inputs.costs[:] if "proxy_orders" in p],
        ["costs/proxy_orders", "rule `proxy_orders`"]),
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
        ["truth/0.h5", "no `sketch`", "rule `truth`"]),
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
            edit_json(path, lambda c: c.update(orders=0))
            for path in s.inputs.costs if "costs/truth" in path],
        ["no retraining was timed", "rule `truth`"]),
    "vocabulary lost": (
        lambda s: Path(s.inputs.corpus).write_text("{}"), ["corpus.json", "rule `corpus`"]),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_an_invalid_input_raises_one_line_with_file_and_rule(small, fault):
    spoil, expected = FAULTS[fault]
    small = copy.deepcopy(small)
    spoil(small)
    with pytest.raises(UserError) as error:
        small.validate()
    message = str(error.value)
    assert all(part in message for part in expected), message
    assert "\n" not in message
    assert not Path(small.outputs.validation).exists()
