"""A synthetic study with the low-rank estimators."""

import json

import pytest

import synthetic

LOW_RANK = [  # as `synthetic.ESTIMATORS`: noise and bias in nats per token, parameter error
    ("nystrom", "barycentre", None, None, 0.0008, 0.0002, 0.4, 0.0),
    ("subsample", "barycentre", None, None, 0.0004, 0.0001, 0.2, 0.0),
    ("reduced", "barycentre", None, None, 0.0012, 0.0003, 0.5, 0.0),
]
SECONDS = {  # of replay and of evaluation; a retraining takes 1.6, and its evaluation 0.08
    "nystrom@barycentre": (0.03, 0.02),
    "reduced@barycentre": (0.0001, 0.0),
    "subsample@barycentre": (0.3, 0.02),
}


def make_study(folder, seed=0, precompute=20.0, **seconds):
    """Make a validated synthetic study with the low-rank estimators.

    `precompute` is the time of their curvature, all in its last stage. `seconds` overrides the
    replay time per order, by method.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "ESTIMATORS", synthetic.ESTIMATORS + LOW_RANK)
        study = synthetic.make(folder, seed=seed)
    study.config["optimizer"] = {"learning_rate": 1e-3}
    study.config["seeds"] = dict.fromkeys(("init", "data", "order"), seed)
    manifest = study.results / "store/manifest.json"
    content = json.loads(manifest.read_text())
    for stage in ("probes/barycentre", "unit_curvature/barycentre/0"):
        cost = study.results / f"costs/{stage}.json"
        study.inputs.costs.append(synthetic._cost(cost, 0.0, precompute=0.0))
    for kind, size in (("curvature", 60_000_000), ("reduced", 2_000_000)):
        cost = study.results / f"costs/{kind}/barycentre.json"
        study.inputs.costs.append(synthetic._cost(cost, precompute, precompute=precompute))
        file = f"barycentre/{kind}.h5"
        content["shards"].append({"file": file, "path": "barycentre", "kind": kind, "bytes": size})
    manifest.write_text(json.dumps(content))
    for name, (replay, evaluation) in SECONDS.items():
        replay = seconds.get(name.split("@")[0], replay)
        for path in (study.results / "costs/estimate" / name).glob("*.json"):
            record = json.loads(path.read_text())
            count = record["counts"]["orders"]
            record["seconds"] = {"replay": replay * count, "evaluation": evaluation * count}
            path.write_text(json.dumps(record))
    study.validate()
    return study
