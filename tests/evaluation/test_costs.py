"""The cost of an estimator includes each stage that it needs once, and no other stage."""

import json

import pytest

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.errors import UserError
from trainorder.evaluation.costs import Retraining, estimator_cost, read_costs

CURVED = ("probes", "unit_curvature", "curvature")
# Gradients and seconds of each stage's own work; powers of two, so that each sum has only one
# decomposition.
SPENT = {
    "manifest": 1.0,
    "reference": 2.0,
    "table": 4.0,
    "residuals": 512.0,
    "clusters": 8.0,
    "barycentre": 16.0,
    **{f"{stage}/reference": 32.0 / 8**i for i, stage in enumerate(CURVED)},
    **{f"{stage}/barycentre": 64.0 / 8**i for i, stage in enumerate(CURVED)},
    "reduced/barycentre": 128.0,
    "proxy_warm": 256.0,
    "effects/reference": 1024.0,
    "effects/barycentre": 2048.0,
}
FIT, PROXY = 10, 100.0
RETRAINING = Retraining(sequences=1000, parameters=8, seconds=1000.0)
ORDERS = {"reference": 1, "calibration": 4, "random": 6, "fit": FIT, "structured": 3}
PRECOMPUTE = {
    ("constant", "reference"): ["manifest", "reference"],
    ("order0", "reference"): ["manifest", "reference", "table"],
    ("corrected", "reference"): ["manifest", "reference", "residuals"],
    ("taylor1", "barycentre"): ["manifest", "clusters", "barycentre"],
    ("recency", "barycentre"): ["manifest", "clusters", "barycentre"],
    ("nystrom", "reference"): [
        "manifest",
        "reference",
        "table",
        "clusters",
        *(f"{stage}/reference" for stage in CURVED),
    ],
    ("subsample", "barycentre"): [
        "manifest",
        "clusters",
        "barycentre",
        *(f"{stage}/barycentre" for stage in CURVED),
    ],
    ("reduced", "barycentre"): [
        *["manifest", "clusters", "barycentre"],
        *[f"{stage}/barycentre" for stage in (*CURVED, "reduced")],
    ],
    ("adjoint", "reference"): ["manifest", "reference", "table", "effects/reference"],
    ("adjoint", "barycentre"): ["manifest", "clusters", "barycentre", "effects/barycentre"],
    ("ridge", ""): [],
    ("simfluence", ""): [],
    ("proxy", ""): ["proxy_warm"],
}
MANIFEST = {
    "shards": [
        {"path": "barycentre", "kind": kind, "bytes": size}
        for kind, size in (("path", 1), ("table", 2), ("curvature", 4), ("reduced", 8))
    ]
    + [
        {"path": "reference", "kind": kind, "bytes": size}
        for kind, size in (("path", 16), ("residuals", 32), ("known_runs", 64), ("known_runs", 128))
    ]
}


def job(span, seconds, orders=0, **more):
    """Return a cost record: gradients and losses that cost one gradient per second."""
    spans = {span: seconds, **more}
    return {
        "wall_seconds": 5000.0,
        "peak_bytes": 1,
        "orders": orders,
        "counts": {name: {"gradients": n / 2, "losses": 3 * n / 2} for name, n in spans.items()},
        "seconds": spans,
        "parameters": RETRAINING.parameters,
    }


def jobs_of(estimator):
    jobs = {name: [job("precompute", seconds)] for name, seconds in SPENT.items()}
    jobs["proxy_orders"] = [job("training", 20 * PROXY, 20, evaluation=20 * 3.0)]
    own = job("replay", 10 * 7.0, 10, evaluation=10 * 3.0, precompute=0.5)
    jobs[f"estimate/{estimator.name}"] = [own]
    return jobs


@pytest.mark.parametrize(("method", "path"), PRECOMPUTE, ids=lambda value: value or "none")
def test_precompute_is_the_work_of_the_stages_that_an_estimator_needs(method, path):
    estimator = EstimatorConfig(method, path, size=10 if method == "corrected" else None)
    cost = estimator_cost(estimator, jobs_of(estimator), RETRAINING, MANIFEST, ORDERS)
    assert cost["selection_retrainings"] == 0, "no size is open, so nothing was selected"
    expected = 0.5 + sum(SPENT[stage] for stage in PRECOMPUTE[method, path])
    expected += FIT * 1000 * estimator.descriptor.fitted + FIT * PROXY * (method == "proxy")
    assert cost["precompute_seconds"] == pytest.approx(expected)
    assert cost["precompute_retrainings"] * 1000 == pytest.approx(expected)
    each = 3.0 + (PROXY if method == "proxy" else 7.0)
    assert cost["total_retrainings"] * 1000 == pytest.approx(expected + 10 * each)


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_the_cost_of_an_estimator_does_not_depend_on_the_number_of_its_jobs(shards):
    estimator = EstimatorConfig("subsample", "barycentre", size=10)
    one = estimator_cost(estimator, jobs_of(estimator), RETRAINING, MANIFEST, ORDERS)
    each = 10 // shards
    own = job("replay", each * 7.0, each, evaluation=each * 3.0, precompute=0.5)
    jobs = jobs_of(estimator) | {f"estimate/{estimator.name}": [own] * shards}
    several = estimator_cost(estimator, jobs, RETRAINING, MANIFEST, ORDERS)
    assert several == pytest.approx(one), "what every job computes again counts several times"


def test_the_ladder_counts_all_sizes_and_the_calibration_orders_once():
    estimator = EstimatorConfig("corrected", "reference")
    tried = [job("size 2", 100.0, 4), job("size 4", 200.0, 4)]
    jobs = jobs_of(estimator) | {"ladder": tried}
    cost = estimator_cost(estimator, jobs, RETRAINING, MANIFEST, ORDERS)
    assert cost["selection_retrainings"] * 1000 == pytest.approx(300)
    without_calibration = ORDERS["random"] * (7.0 + 3.0)
    expected = 1000 * cost["precompute_retrainings"] + 300 + without_calibration
    assert cost["total_retrainings"] * 1000 == pytest.approx(expected)


@pytest.mark.parametrize("method", ["nystrom", "reduced"])
def test_trials_of_a_rank_are_selection_and_no_precompute(method):
    estimator = EstimatorConfig(method, "barycentre")
    plain = estimator_cost(estimator, jobs_of(estimator), RETRAINING, MANIFEST, ORDERS)
    tried = job("precompute", SPENT["probes/barycentre"], selection=300.0)
    jobs = jobs_of(estimator) | {"probes/barycentre": [tried]}
    cost = estimator_cost(estimator, jobs, RETRAINING, MANIFEST, ORDERS)
    assert cost["selection_retrainings"] * 1000 == pytest.approx(300)
    for kind in ("precompute_retrainings", "precompute_seconds"):
        assert cost[kind] == pytest.approx(plain[kind])
    more = cost["total_retrainings"] - plain["total_retrainings"]
    assert more * 1000 == pytest.approx(300), "every order is still replayed by the estimator"


def test_losses_that_only_the_explorer_shows_are_no_precompute():
    estimator = EstimatorConfig("reduced", "barycentre")
    jobs = jobs_of(estimator)
    plain = estimator_cost(estimator, jobs, RETRAINING, MANIFEST, ORDERS)
    jobs["reduced/barycentre"] = [job("precompute", SPENT["reduced/barycentre"], along=300.0)]
    cost = estimator_cost(estimator, jobs, RETRAINING, MANIFEST, ORDERS)
    assert cost == plain, "an estimate is charged for what only the explorer reads"


def test_a_narrower_model_counts_less_by_its_parameters():
    records = [job("training", 1000.0)]
    assert RETRAINING.counted(records) == 1
    records[0]["parameters"] = 2
    assert RETRAINING.counted(records, "training") == 1 / 4
    assert RETRAINING.counted(records, "evaluation") == 0


def test_a_job_without_a_model_costs_no_retraining():
    record = {**job("replay", 0.0), "counts": {}, "parameters": None}
    assert RETRAINING.counted([record]) == 0


def test_the_bytes_of_an_estimator_are_those_of_the_files_it_reads():
    def size(method):
        estimator = EstimatorConfig(method, "barycentre")
        return estimator_cost(estimator, jobs_of(estimator), RETRAINING, MANIFEST, ORDERS)["bytes"]

    assert [size(m) for m in ("taylor1", "order0", "nystrom", "subsample", "reduced")] == [
        *[1, 3, 4, 7, 8]
    ]


def test_recorded_runs_add_bytes_and_no_passes():
    costs = []
    for runs in (0, 2):
        estimator = EstimatorConfig("corrected", "reference", size=1, runs=runs)
        jobs = jobs_of(estimator)
        costs.append(estimator_cost(estimator, jobs, RETRAINING, MANIFEST, ORDERS))
    assert [cost.pop("bytes") for cost in costs] == [16 + 32, 16 + 32 + 64 + 128]
    assert costs[0] == costs[1]


def test_a_job_without_a_span_takes_its_wall_time():
    estimator = EstimatorConfig("constant", "reference")
    jobs = jobs_of(estimator)
    jobs["manifest"][0]["seconds"] = {}
    cost = estimator_cost(estimator, jobs, RETRAINING, MANIFEST, ORDERS)
    assert cost["precompute_seconds"] == pytest.approx(5002.5)


def test_a_missing_stage_names_its_rule():
    estimator = EstimatorConfig("nystrom", "barycentre")
    jobs = jobs_of(estimator)
    del jobs["curvature/barycentre"]
    with pytest.raises(UserError, match=r"costs/curvature/barycentre.*rule `curvature`"):
        estimator_cost(estimator, jobs, RETRAINING, MANIFEST, ORDERS)


def test_stages_are_named_by_the_folders_of_their_records(tmp_path):
    names = ["warm", "table/0", "table/1", "curvature/barycentre", "estimate/order0@reference/0"]
    for name in names:
        path = tmp_path / f"costs/{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(job("precompute", 1.0)))
    by_stage = read_costs([tmp_path / f"costs/{name}.json" for name in names])
    assert {stage: len(jobs) for stage, jobs in by_stage.items()} == {
        "warm": 1,
        "table": 2,
        "curvature/barycentre": 1,
        "estimate/order0@reference": 1,
    }
