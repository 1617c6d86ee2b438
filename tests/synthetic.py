"""A synthetic study: the files of a study, with random values instead of training."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from trainorder.config.methods import METHODS
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.curriculum.replicate_gains import GAINS
from trainorder.evaluation import validation
from trainorder.evaluation.predictability import Response, predictability_record
from trainorder.evaluation.scores import IntervalSettings
from trainorder.memorization.forgetting import forgetting
from trainorder.memorization.maps import MAPS, QUANTITIES
from trainorder.storage.sealed_hdf5 import write_arrays

KEY = "0123456789abcdef"
METRICS = ["heldout", *(f"heldout/{name}" for name in ("scripture", "drama", "speeches", "code"))]
STEPS, ROWS, VOCABULARY = 32, 128, 1024
STRUCTURED = {  # kind: (Kendall distance, effect on the loss in nats per token)
    "reversed": (1.0, 0.004),
    "domain-sorted": (0.49, 0.045),
    "domain-sorted-reversed": (0.51, 0.061),
    "interleaved": (0.47, -0.003),
    "easy-to-hard": (0.52, 0.017),
    "hard-to-easy": (0.48, 0.028),
}
BLOCKS = {2: 0.016, 4: 0.05, 8: 0.11, 16: 0.24}
# Method, path, guard, orders, noise and bias in nats per token, parameter error, diverging share
ESTIMATORS = [
    ("constant", "reference", None, None, None, 0.0, 1.0, 0.0),
    ("order0", "reference", None, None, 0.010, 0.017, 0.83, 0.0),
    ("order0", "barycentre", None, None, 0.004, 0.003, 0.9, 0.0),
    ("fut", "reference", 1.0, None, 0.012, -0.006, 1.3, 0.0),
    ("fut", "reference", None, None, 0.02, 0.0, 3e4, 1.0),
    ("fut++", "reference", 1.0, None, 0.03, 0.01, 2.1, 0.3),
    ("taylor1", "reference", None, (10, 24, 6), 0.0012, 0.0004, 0.3, 0.0),
    ("taylor1", "barycentre", None, (10, 24, 6), 0.0006, 0.0002, 0.14, 0.0),
    ("taylor2", "reference", None, (0, 6, 2), 0.0003, 0.0, 0.09, 0.0),
    ("taylor2", "barycentre", None, (0, 6, 2), 0.0002, 0.0, 0.04, 0.0),
    ("recency", "barycentre", None, None, 0.005, 0.0, 0.8, 0.0),
    ("ridge", "", None, None, 0.004, 0.0, np.nan, 0.0),
    ("proxy", "", None, None, 0.002, 0.0, np.nan, 0.0),
]
TAILS = {"recency": 8}
PARAMETERS = 345_696
NARROW = PARAMETERS // 8  # of the proxy
RETRAINING = 256  # sequences of the window
EVALUATION = 24  # sequences of an evaluation
REPLAYED = {  # passes of one order, by method; the other methods replay without any
    "taylor1": {"gradients": RETRAINING, "hvps": RETRAINING},
    "taylor2": dict.fromkeys(("gradients", "hvps", "third_derivatives"), RETRAINING),
    "recency": {"gradients": RETRAINING // 4},
}
DOMAINS = ["poisoned", *(["drama", "mixed", "scripture", "drama"] * 8)[1:]]  # of the units


@dataclass(frozen=True)
class Study:
    """The folder of a synthetic study, and the arguments of its validation."""

    results: Path
    inputs: validation.ValidationInputs
    outputs: validation.ValidationOutputs
    config: dict

    def validate(self):
        estimators = [EstimatorConfig(**entry) for entry in self.config["estimators"]]
        settings = IntervalSettings(**self.config["validation"], seed=2)
        return validation.validate(
            self.inputs, self.outputs, estimators, settings, self.config, KEY
        )


def config() -> dict:
    estimators = []
    for method, path, guard, bounds, *_ in ESTIMATORS:
        entry = {"method": method, "path": path, "guard": guard, "tail": TAILS.get(method, 0)}
        if bounds:
            entry["orders"] = dict(
                zip(("calibration", "random", "structured"), bounds, strict=True)
            )
        estimators.append(entry)
    return {
        "study": "synthetic",
        "seeds": {"init": 0, "data": 1, "order": 2},
        "model": {"hidden_size": 96, "intermediate_size": 256, "layers": 2, "heads": 4},
        "corpus": {"sequence_length": 16},
        "optimizer": asdict(OptimizerConfig()),
        "window": {
            "warmup_steps": 40,
            "units": 32,
            "unit_size": 8,
            "units_per_step": 1,
            "epochs": 1,
        },
        "estimators": estimators,
        "validation": {"resamples": 200, "confidence": 0.95, "coverage": 0.9},
    }


def order_records(random: int, calibration: int, fit: int, rng: np.random.Generator) -> list[dict]:
    def record(name, kind, split, kendall):
        schedule = rng.permutation(STEPS)[:, None].tolist()
        return {
            "name": name, "kind": kind, "split": split, "kendall": kendall, "schedule": schedule
        }  # fmt: skip

    def distance():
        return float(0.5 + 0.06 * rng.standard_normal())

    records = [record("reference", "reference", "reference", 0.0)]
    for i in range(calibration):
        records.append(record(f"calibration-{i:04d}", "random", "calibration", distance()))
    for i in range(random):
        records.append(record(f"random-{i:04d}", "random", "random", distance()))
    for i in range(fit):
        records.append(record(f"fit-{i:04d}", "random", "fit", distance()))
    for kind, (kendall, _) in STRUCTURED.items():
        records.append(record(kind, kind, "structured", kendall))
    for size, kendall in BLOCKS.items():
        records.append(record(f"block-{size}", "block-shuffled", "structured", kendall))
    return records


def _true_values(records, rng):
    main = np.zeros(len(records))
    for i, record in enumerate(records):
        main[i] = STRUCTURED.get(record["kind"], (0, 0.0035 * rng.standard_normal()))[1]
        if record["kind"] == "block-shuffled":
            main[i] = 0.01 * record["kendall"] * rng.standard_normal()
    main[0] = 0.0
    domains = 0.012 * rng.standard_normal((len(records), len(METRICS) - 1)) + main[:, None]
    domains[0] = 0.0
    level = np.array([4.21, 3.9, 4.4, 4.1, 4.6])
    return level + np.concatenate([main[:, None], domains], axis=1)


def _shard(path, rows, records, value, sketch, path_to, extra, **attributes):
    """Write a shard with the orders `rows`; three named orders have a trajectory."""
    names = ("random-0000", "random-0001", "reversed") if np.isfinite(sketch).all() else ()
    followed = [i for i in rows if records[i]["name"] in names]
    arrays = {
        "order": [records[i]["name"] for i in rows],
        "metric": METRICS,
        "value": value[rows],
        "sketch": sketch[rows].astype(np.float32),
        "trajectory_order": [records[i]["name"] for i in followed],
        "trajectory": np.array([path_to(i) for i in followed], np.float32).reshape(
            len(followed), STEPS + 1, ROWS
        ),
        "stepwise": np.array([losses_to(value[i]) for i in followed]).reshape(
            len(followed), STEPS + 1, len(METRICS)
        ),
        **extra,
    }
    write_arrays(path, KEY, arrays, **attributes)


def losses_to(value):
    """Return losses (T + 1, M) that begin at 5 and end at `value` (M,)."""
    along = 5 + np.linspace(0, 1, STEPS)[:, None] * (np.nan_to_num(value) - 5)
    return np.concatenate([along, value[None]])


def cost_record(
    path: Path,
    wall: float,
    orders: int = 0,
    counts: dict | None = None,
    parameters: int = PARAMETERS,
    **seconds: float,
) -> str:
    """Write a cost record; `counts` are the sequences by span and kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "wall_seconds": wall, "peak_bytes": 400 * 2**20, "orders": orders, "counts": counts or {},
        "seconds": seconds, "parameters": parameters,
    }  # fmt: skip
    path.write_text(json.dumps(record))
    return str(path)


def retrained(orders: int) -> dict:
    """Return the counts of retraining and evaluating some orders."""
    return {
        "training": {"gradients": RETRAINING * orders},
        "evaluation": {"losses": EVALUATION * orders},
    }


def make(
    folder: Path, random: int = 48, calibration: int = 16, fit: int = 8, seed: int = 0
) -> Study:
    """Write the files that validation reads to `folder` and return the study."""
    rng = np.random.default_rng(seed)
    results = folder / "results" / "synthetic"
    results.mkdir(parents=True)
    settings = config()
    records = order_records(random, calibration, fit, rng)
    (results / "orders.json").write_text(
        json.dumps(
            {
                "study": "synthetic",
                "steps": STEPS,
                "units": 32,
                "unit_domains": DOMAINS,
                "orders": records,
            }
        )
    )
    (results / "corpus.json").write_text(json.dumps({"tokenizer": {"vocabulary": VOCABULARY}}))
    write_arrays(results / "store/warm.h5", KEY, {"parameters": np.zeros(PARAMETERS, np.float32)})
    _write_predictability(results)
    _write_manifest(results)
    _write_ladder(results)
    _write_levels(results)
    _write_stores(results)
    _write_curriculum(results, records)
    _write_memorization(results)

    value = _true_values(records, rng)
    displacement = rng.standard_normal((len(records), ROWS)) / np.sqrt(ROWS)
    displacement[0] = 0.0
    grow = np.linspace(0, 1, STEPS + 1)[:, None]
    truth, estimates, costs = [], [], _stage_costs(results)
    for number, rows in enumerate(np.array_split(np.arange(len(records)), 4)):
        path = results / f"truth/{number}.h5"
        losses = 4.5 + 0.3 * rng.standard_normal((len(rows), STEPS))
        _shard(
            path, list(rows), records, value, 3 + displacement,
            lambda i: 3 + grow * displacement[i],
            {
                "train_loss": losses,
                "along": value[rows][:, None],
                "unit_loss": np.full((len(rows), 32), np.nan),
            },
        )  # fmt: skip
        truth.append(str(path))
        costs.append(
            cost_record(
                results / f"costs/truth/{number}.json",
                90,
                len(rows),
                retrained(len(rows)),
                training=1.6 * len(rows),
                evaluation=0.08 * len(rows),
            )
        )
    for entry, row in zip(settings["estimators"], ESTIMATORS, strict=True):
        estimator = EstimatorConfig(**entry)
        estimated = _estimated_values(row, records, value, rng)
        estimate_paths, cost_paths = _write_estimator(
            results, estimator, row, records, estimated, displacement, rng
        )
        estimates += estimate_paths
        costs += cost_paths
    store = results / "store"
    inputs = validation.ValidationInputs(
        orders=str(results / "orders.json"), corpus=str(results / "corpus.json"),
        warm=str(store / "warm.h5"), predictability=str(results / "predictability.json"),
        verification=[], manifest=str(store / "manifest.json"),
        truth=truth, estimates=estimates, costs=costs,
    )  # fmt: skip
    outputs = validation.ValidationOutputs(
        **{
            name: str(results / f"{name}.{kind}")
            for name, kind in {
                "truth": "csv", "truth_losses": "csv", "estimates": "csv", "trajectories": "csv",
                "validation": "json", "costs": "json",
            }.items()
        },
        stepwise=str(results / "stepwise_losses.csv"),
    )  # fmt: skip
    return Study(results, inputs, outputs, settings)


def _estimated_values(row, records, value, rng):
    *_, noise, bias, _, diverging_share = row
    if noise is None:
        return np.tile(value[0], (len(records), 1))
    estimated = value + bias + noise * rng.standard_normal(value.shape)
    estimated[0] = value[0]
    diverged = rng.random(len(records)) < diverging_share
    diverged[0] = False
    estimated[diverged] = 30 + 20 * rng.random((int(diverged.sum()), value.shape[1]))
    if diverging_share == 1.0:
        estimated[len(estimated) // 9 + 1], estimated[len(estimated) // 3] = np.nan, np.inf
    return estimated


def _write_estimator(results, estimator, row, records, estimated, displacement, rng):
    bounds, error = row[3], row[6]
    chosen = _bounded(records, bounds)
    direction = rng.standard_normal(displacement.shape) / np.sqrt(ROWS)
    direction[0] = 0.0
    sketch = 3 + displacement + error * (-displacement if row[0] == "constant" else direction)
    grow = np.linspace(0, 1, STEPS + 1)[:, None]

    def trajectory(i):
        power = 1 if row[0] == "constant" else 2
        return 3 + grow * displacement[i] + grow**power * (sketch[i] - 3 - displacement[i])

    paths, costs = [], []
    for number, part in enumerate(np.array_split(np.array(chosen), estimator.shards(2))):
        path = results / f"estimates/{estimator.name}/{number}.h5"
        _shard(
            path, list(part), records, estimated, sketch, trajectory, {}, estimator=estimator.name
        )
        paths.append(str(path))
        replay_seconds = {"taylor1": 4.0, "taylor2": 14.0}.get(row[0], 0.02)
        spans = {"replay": replay_seconds * len(part), "evaluation": 0.1 * len(part)}
        if METHODS[row[0]].fitted:
            spans = {"precompute": 0.5} | (
                {"replay": 0.001 * len(part)} if row[0] == "ridge" else {}
            )
        counts = {}
        if not METHODS[row[0]].fitted:
            counts["evaluation"] = {"losses": EVALUATION * len(part)}
            each = REPLAYED.get(row[0], {})
            counts["replay"] = {kind: n * len(part) for kind, n in each.items()}
        path = results / f"costs/estimate/{estimator.name}/{number}.json"
        costs.append(cost_record(path, 9, len(part), counts, **spans))
    return paths, costs


def _bounded(records, bounds):
    if bounds is None:
        return [i for i, record in enumerate(records) if record["split"] != "fit"]
    remaining = dict(zip(("calibration", "random", "structured"), bounds, strict=True))
    remaining["reference"] = 1
    chosen = []
    for i, record in enumerate(records):
        if remaining.get(record["split"], 0) > 0:
            remaining[record["split"]] -= 1
            chosen.append(i)
    return chosen


def _write_predictability(results: Path) -> None:
    responses = [Response(0.06, 0.1, growth, 0.99) for growth in (0.6, 0.7, 0.65)]
    record = predictability_record(
        responses, study="synthetic", first_steps=4, gradients=138, retrainings=4.3125,
        confidence=0.95,
    )  # fmt: skip
    (results / "predictability.json").write_text(json.dumps(record))


def _write_manifest(results: Path) -> None:
    shards = []
    for path in ("reference", "barycentre"):
        shards.append(
            {"file": f"{path}/path.h5", "path": path, "kind": "path", "bytes": 137_000_000}
        )
        for i in range(2):
            shards.append(
                {
                    "file": f"{path}/table-{i}.h5",
                    "path": path,
                    "kind": "table",
                    "bytes": 708_000_000,
                }
            )
    (results / "store/manifest.json").write_text(json.dumps({"shards": shards}))


def _write_ladder(results: Path) -> None:
    """Write a ladder of three sizes, of which the last is trusted."""
    verdicts = {2: "not trusted", 4: "rank only", 8: "trusted"}
    levels = [
        {
            "size": size, "per_order_retrainings": size / 64,
            "order_lds": {"value": 0.6 + size / 25, "low": 0.3 + size / 15, "high": 0.97, "n": 24},
            "relative_error": 1 - size / 12, "verdict": verdict, "verdict_reason": "synthetic",
        }
        for size, verdict in verdicts.items()
    ]  # fmt: skip
    content = {
        "study": "synthetic", "estimator": "corrected@reference", "levels": levels, "selected": 8,
        "reason": "the smallest size that is trusted",
        "next": {"size": 16, "per_order_retrainings": 0.25},
    }  # fmt: skip
    (results / "ladder.json").write_text(json.dumps(content))


def _write_levels(results: Path) -> None:
    """Write three ranks of the low-rank curvature, the second of which is trusted."""
    levels = [
        {
            "rank": rank, "pool": 10 if rank < 96 else 20, "probed_steps": [16],
            "precompute_retrainings": 10 + rank / 16,
            "order_lds": {"value": 0.9, "low": 0.7 + rank / 500, "high": 0.97, "n": 24},
            "relative_error": 0.5 - rank / 300, "verdict": verdict, "verdict_reason": "synthetic",
        }
        for rank, verdict in ((24, "rank only"), (48, "trusted"), (96, "trusted"))
    ]  # fmt: skip
    content = {
        "study": "synthetic", "rank": 96, "pool": 20, "probed_steps": [16], "reason": "synthetic",
        "levels": levels, "next": {"precompute_retrainings": 22.2},
    }  # fmt: skip
    folder = results / "store/barycentre"
    folder.mkdir(parents=True)
    (folder / "probes.json").write_text(json.dumps(content))


def _write_stores(results: Path) -> None:
    """Write a record for each store; the dense store is exact, and one store diverged."""
    dense = 32 * 32 * 345_696 * 4
    kinds = {  # errors of the table, the parameters and the loss, at an eighth of the size
        "dense": (0.0, 0.0, 0.0), "int8": (0.01, 0.07, 1e-4), "anchors": (0.25, 0.4, 0.2),
        "jl": (2.8, 2.1, 0.4), "range finder": (0.15, 0.28, 0.04), "single pass": (3.0, None, None),
    }  # fmt: skip
    records = [
        {
            "store": kind, "size": f"1 in {ratio}", "read": "transpose" if kind == "jl" else None,
            "bytes": dense // ratio, "ratio": float(ratio), "streaming_bytes": None,
            "table_error": table, "inner_product_error": table, "distance_error": table,
            "estimated_table_error": {"value": table, "low": 0.8 * table, "high": 2 * table}
            if kind in ("range finder", "single pass") else None,
            "parameter_error": parameters, "loss_error": loss,
            "loss_error_over_spread": None if loss is None else loss / 0.2,
        }
        for kind, (table, parameters, loss) in kinds.items()
        for ratio in {"dense": (1,), "int8": (4,)}.get(kind, (8, 32))
    ]  # fmt: skip
    content = {
        "study": "synthetic", "path": "reference", "steps": STEPS, "window_steps": STEPS,
        "anchors": STEPS, "units": 32, "parameters": 345_696, "dense_bytes": dense,
        "published_ratio": 32,
        "orders": [f"calibration-{i:04d}" for i in range(8)], "displacement": 1.2,
        "loss_spread": 0.2, "stores": records, "residuals": _residual_stores(),
    }  # fmt: skip
    (results / "stores.json").write_text(json.dumps(content))


def _residual_stores() -> dict:
    """Return the stores of the residuals of one run; the one of float32 is exact."""
    exact = 32 * 345_696 * 4
    kinds = {"float32": (1, 0.0, 0.0), "float16": (2, 2e-4, 1e-6), "int8": (4, 0.008, 2e-5)}
    return {
        "size": 2, "visits": 32, "points_bytes": 32 * 1024 * 4,
        "orders": [f"calibration-{i:04d}" for i in range(4)], "displacement": 1.1,
        "loss_spread": 0.2,
        "stores": [
            {
                "store": kind, "bytes": exact // ratio, "ratio": float(ratio),
                "residual_error": error, "parameter_error": error / 3, "loss_error": loss,
                "loss_error_over_spread": loss / 0.2,
            }
            for kind, (ratio, error, loss) in kinds.items()
        ],
    }  # fmt: skip


def _write_curriculum(results: Path, records: list[dict]) -> None:
    """Write a search, with one order that was not retrained, and its replicates."""
    orders = [
        {
            "name": name, "kind": kind, "search": {"violations": 0}, "true": true,
            "estimates": {
                "nystrom@barycentre": {"raw": 4.25, "value": 4.2, "low": 4.1, "high": 4.3}
            },
        }
        for name, kind, true in (
            ("genetic", "searched", 4.21),
            ("assignment", "searched", None),
            ("zigzag", "field", 4.3),
        )
    ]  # fmt: skip
    true = {r["name"]: 4.25 + 0.001 * i for i, r in enumerate(records) if r["kind"] == "random"}
    gains = {name: {"value": 0.02, "in_spreads": 2.0} for name in GAINS}
    content = {
        "study": "synthetic", "objective": {"heldout": 1.0}, "readouts": 1, "coverage": 0.9,
        "verdicts": {"reduced@barycentre": "trusted", "nystrom@barycentre": "trusted"},
        "winner": "genetic", "best_of_field": "zigzag", "orders": orders,
        "random": {"n": len(true), "mean": 4.28, "std": 0.01, "true": true},
        "compute": {
            "precompute_retrainings": 36.0, "search_retrainings": 2.0, "retrained": 1,
            "total_retrainings": 39.0, "random_orders_for_it": 40, "random_orders_had": len(true),
        },
        "gains": gains, "provenance": {},
    }  # fmt: skip
    (results / "curriculum.json").write_text(json.dumps(content))
    gain = {
        "values": [0.01, 0.03], "in_spreads": [1.1, 3.3],
        "value": 0.02, "low": -0.1, "high": 0.14, "n": 2,
    }  # fmt: skip
    groups = {
        name: {
            "studies": ["a", "b"],
            "verdicts": [{"nystrom@barycentre": "trusted"}, {"nystrom@barycentre": "rank only"}],
            "gains": dict.fromkeys(GAINS, gain),
            "half_lives": {"all": [3, None]},
            "agreement": {quantity: [0.71, 0.83] for quantity in QUANTITIES},
        }
        for name in ("cosine", "constant")
    }
    replicates = {"study": "synthetic", "confidence": 0.95, "groups": groups}
    (results / "replicates.json").write_text(json.dumps(replicates))


def _write_memorization(results: Path) -> None:
    rng = np.random.default_rng(9)
    maps = {}
    for quantity in QUANTITIES:
        for name in MAPS:
            values = rng.standard_normal((32, STEPS)) / 100
            true = np.where(rng.random(values.shape) < 0.1, values, np.nan)
            maps[f"estimated_{quantity}_{name}"], maps[f"true_{quantity}_{name}"] = values, true
    write_arrays(results / "memorization.h5", KEY, maps)
    score = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 40}
    score |= {"slope": 0.9, "mse": 1e-4, "relative_mse": 0.1}
    content = {
        "study": "synthetic", "estimator": "reduced@barycentre", "verdict": "trusted",
        "units": 32, "steps": STEPS, "unit_domains": DOMAINS, "retrained": 40,
        "agreement": {quantity: dict.fromkeys(MAPS, score) for quantity in QUANTITIES},
        "forgetting": forgetting(maps["estimated_own_presence"], DOMAINS, 200, 0.95, 0),
        "poisoned": [
            {
                "unit": 0,
                "step": step,
                **{
                    name: {"estimated": 0.1, "true": 0.01 * step, "clean": 0.0}
                    for name in ("heldout", "own")
                },
            }
            for step in (0, STEPS // 2, STEPS - 1)
        ],
    }  # fmt: skip
    (results / "memorization.json").write_text(json.dumps(content))


def _stage_costs(results: Path) -> list[str]:
    def add(stage, wall, orders=0, counts=None, parameters=PARAMETERS, **seconds):
        path = results / f"costs/{stage}.json"
        costs.append(cost_record(path, wall, orders, counts, parameters, **seconds))

    costs: list[str] = []
    add("corpus", 20.0)
    add("orders", 0.5, counts={"other": {"losses": RETRAINING}})
    add("predictability", 9.0)
    add("manifest", 3.0)
    steps = {"gradients": 8 * RETRAINING}
    add("warm", 24.0, counts={"training": steps}, training=12.0)  # loading takes the same time
    add("reference", 4.0, counts={"training": {"gradients": RETRAINING}}, training=2.0)
    add("proxy_warm", 8.0, counts={"training": steps}, parameters=NARROW, training=4.0)
    add("barycentre", 65.0, counts={"precompute": {"gradients": 10 * RETRAINING}}, precompute=60.0)
    add("clusters", 5.0, precompute=1.0)
    for i in range(2):
        shard = {"precompute": {"gradients": 16 * RETRAINING}}
        add(f"table/{i}", 30.0, counts=shard, precompute=28.0)
        spans = {"training": 0.4 * 40, "evaluation": 0.02 * 40}
        add(f"proxy_orders/{i}", 50.0, 40, retrained(40), NARROW, **spans)
    return costs
