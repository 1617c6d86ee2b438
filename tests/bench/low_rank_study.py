"""A synthetic study with the low-rank estimators."""

import json

import pytest

import synthetic

LOW_RANK = [  # as `synthetic.ESTIMATORS`: noise and bias in nats per token, parameter error
    ("nystrom", "barycentre", None, None, 0.0008, 0.0002, 0.4, 0.0),
    ("subsample", "barycentre", None, None, 0.0004, 0.0001, 0.2, 0.0),
    ("reduced", "barycentre", None, None, 0.0012, 0.0003, 0.5, 0.0),
]
REPLAYS = {  # retrainings and seconds of a replay; whether metrics are evaluated
    "nystrom@barycentre": (0.0, 0.03, True),
    "reduced@barycentre": (0.0, 0.0001, False),
    "subsample@barycentre": (0.15625, 0.3, True),
}


def make_study(folder, seed=0, precompute=32, **replays):
    """Make a validated synthetic study with the low-rank estimators.

    `precompute` is the cost of their curvature in retrainings, all in its last stage. `replays`
    overrides the retrainings of a replay, by method.
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
        study.inputs.costs.append(synthetic.cost_record(cost, 0.0, precompute=0.0))
    for kind, size in (("curvature", 60_000_000), ("reduced", 2_000_000)):
        cost = study.results / f"costs/{kind}/barycentre.json"
        counts = {"precompute": {"gradients": precompute * synthetic.RETRAINING}}
        study.inputs.costs.append(synthetic.cost_record(cost, 20.0, 0, counts, precompute=20.0))
        file = f"barycentre/{kind}.h5"
        content["shards"].append({"file": file, "path": "barycentre", "kind": kind, "bytes": size})
    manifest.write_text(json.dumps(content))
    for name, (replay, seconds, evaluated) in REPLAYS.items():
        gradients = round(replays.get(name.split("@")[0], replay) * synthetic.RETRAINING)
        for path in (study.results / "costs/estimate" / name).glob("*.json"):
            record = json.loads(path.read_text())
            count = record["orders"]
            record["counts"]["replay"] = {"gradients": gradients * count}
            if not evaluated:
                del record["counts"]["evaluation"]
            record["seconds"] = {"replay": seconds * count, "evaluation": 0.02 * count * evaluated}
            path.write_text(json.dumps(record))
    study.validate()
    return study
