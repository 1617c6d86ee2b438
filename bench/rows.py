"""The rows of the benchmark: the default study with single changes, and other corpora.

Each row has `corrected` as its estimator, whose size the ladder selects, up to the cost per order
of the row's target. The rows of the default study, and that of its best rate, also have its
low-rank estimators and its numbers of orders. One more row compares `corrected` with competing
methods that use as much compute.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from bench import corpora
from bench.equal_compute_page import EQUAL_COMPUTE
from bench.grid import Cell
from bench.studies import Study, seeded
from bench.targets import CHEAP
from bench.transfer_page import OTHER_CORPORA
from trainorder.config.loading import load_config
from trainorder.evaluation.predictability import PREDICTABLE_GROWTH, UNPREDICTABLE_GROWTH
from trainorder.evaluation.verdict import RANK_ONLY, TRUSTED, TRUSTED_RELATIVE_ERROR

AVERAGED_STATES = 16  # of the rows with a constant rate: half the window
FIRST_OTHER_SEED = 11  # of the other corpora
TWICE = "twice the precompute"  # group of the rows that repeat a training of another row
BASELINE = {"method": "constant", "path": "reference"}
BEST_RATE = {"learning_rate": 4.0e-3}  # of the default study: docs/measured/sweep.md
RUNS, CALIBRATION = 8, 24  # known runs of `corrected` besides the reference; calibration orders
# The relative error at which a ladder stops. No size is this accurate, so all sizes are tried.
NEVER_ENOUGH = 0.01
DEFAULT_METHODS = ("corrected", "nystrom", "reduced")  # of the rows of the default study
COMPETING_METHODS = ("corrected", "ridge", "simfluence", "adjoint", "proxy")
# Orders that the competing methods are fitted on: at least as many retrainings as `corrected` uses
# in all. That is 44 in the default study: 24 known runs, a precompute of 2, 11 to select its size,
# and 48 random orders, each with 0.12 for its replay and 0.02 for its evaluation. A test compares.
FIT_AT_EQUAL_COMPUTE = 48

Layer = dict[str, Any]


def cells() -> list[Cell]:
    """Return the rows, the default study first.

    Raises:
        UserError: the default configuration is not readable.

    """
    return [
        *_near_default(),
        *_other_corpora(),
        *_windows_and_batches(),
        *_schedules(),
        _equal_compute(),
    ]


def _near_default() -> list[Cell]:
    cheap: Layer = {
        "order_lds": 0.95,
        "per_order_retrainings": 1 / 20,
        "precompute_retrainings": 16,
        "verdicts": [TRUSTED],
    }
    twice = {**cheap, "precompute_retrainings": 32}
    default = {
        "order_lds": 0.95,
        "relative_error": 0.3,
        "per_order_retrainings": 1 / 6,
        "precompute_retrainings": 2,
        "verdicts": [TRUSTED],
        CHEAP: cheap,
    }
    wider = {"order_lds": 0.95, "per_order_retrainings": 1 / 8}
    group = "seeds, rate and width"
    orders, estimators = _of_default(DEFAULT_METHODS)
    return [
        *(
            _cell(
                *(f"seed{seed}", f"default, seed {seed}", group, default),
                seeds=seeded(seed),
                orders=orders,
                estimators=estimators,
            )
            for seed in range(3)
        ),
        *(
            _cell(
                *(f"twice-seed{seed}", f"default, seed {seed}, {TWICE}", TWICE),
                {CHEAP: twice},
                seeds=seeded(seed),
                orders=orders,
                estimators=estimators,
                precompute=twice["precompute_retrainings"],
            )
            for seed in range(3)
        ),
        _cell(
            *("best-rate", "default, its best rate", group),
            optimizer=BEST_RATE,
            orders=orders,
            estimators=estimators,
        ),
        # The preset has 24 known runs, too.
        _cell("wider", "wider, its best rate", group, wider, preset="wider", runs=CALIBRATION),
    ]


def _of_default(methods: Sequence[str]) -> tuple[Layer, list[Layer]]:
    """Return the numbers of orders of the default study, and its estimators of some methods."""
    config = load_config("config.yaml")
    orders = {split: config["orders"][split] for split in ("calibration", "random")}
    return orders, [one for one in config["estimators"] if one["method"] in methods]


def _other_corpora() -> list[Cell]:
    """Return the studies of other corpora: pure domains, and seeds that no other study has."""
    target = {
        "order_lds": 0.9,
        "per_order_retrainings": 1 / 4,
        "precompute_retrainings": 2,
        "verdicts": [TRUSTED, RANK_ONLY],
    }
    return [
        _cell(
            *(name, f"corpus {name}", OTHER_CORPORA, target),
            steps=48,
            mixed=0.0,
            seeds=seeded(FIRST_OTHER_SEED + index),
            corpus=name,
        )
        for index, name in enumerate(corpora.CORPORA)
    ]


def _windows_and_batches() -> list[Cell]:
    window = {
        "order_lds": 0.9,
        "relative_error": 0.6,
        "per_order_retrainings": 1 / 4,
        "precompute_retrainings": 2,
    }
    # These targets are for a given cost, so the ladder does not stop at a cheaper trusted size.
    batch = {"order_lds": 0.93, "precompute_retrainings": 8}
    group = "larger batches"
    return [
        *(
            _cell(f"steps{steps}", f"T = {steps}", "longer windows", window, steps=steps)
            for steps in (64, 128, 256)
        ),
        _cell(
            *("epochs2", "two epochs of 32 units", "longer windows"),
            # With 24 of them, the intervals held the truth of only 24 of the 32 random orders.
            orders={"calibration": 40},
            epochs=2,
        ),
        # The packages have text for these warm-ups and not for longer ones.
        _cell(
            *("batch256", "256 sequences per step", group),
            {**batch, "per_order_retrainings": 1 / 8},
            unit_size=256,
            warmup=400,
            enough=NEVER_ENOUGH,
        ),
        _cell(
            *("batch1024", "1,024 sequences per step, T = 16", group),
            {**batch, "per_order_retrainings": 1 / 32},
            steps=16,
            unit_size=1024,
            warmup=100,
            orders={"calibration": 16, "random": 16},
            enough=NEVER_ENOUGH,
        ),
    ]


def _schedules() -> list[Cell]:
    # Known runs are further apart at a constant rate, so all calibration orders are known runs.
    domains = {"order_lds": 0.85, "relative_error": 0.6, "per_order_retrainings": 1 / 3}
    group, constant = "schedule and start", {"schedule": "constant"}
    return [
        _cell(
            *("constant", "constant rate, domain batches", group, domains),
            optimizer=constant,
            runs=CALIBRATION,
            mixed=0.0,
            averaged_states=AVERAGED_STATES,
        ),
        _cell(
            *("constant-mixed", "constant rate, mixed batches", group),
            # No cost is asked for, so the ladder goes beyond a third of a retraining per order.
            {"trusted_below_growth": PREDICTABLE_GROWTH, "per_order_retrainings": 1 / 2},
            optimizer=constant,
            orders={"calibration": 40},  # as many as in the default study
            runs=CALIBRATION,
            mixed=1.0,
            averaged_states=AVERAGED_STATES,
        ),
        _cell(
            *("scratch", "from scratch", group),
            {"growth": UNPREDICTABLE_GROWTH, "largest_error": 1.05},
            warmup=0,
        ),
    ]


def _equal_compute() -> Cell:
    """Return the default study with competing methods, which use as much compute."""
    orders, estimators = _of_default(COMPETING_METHODS)
    # All methods estimate all orders, `proxy` too.
    estimators = [{k: v for k, v in one.items() if k != "orders"} for one in estimators]
    return _cell(
        *("equal-compute", "default, baselines at equal compute", EQUAL_COMPUTE),
        seeds=seeded(0),
        orders={**orders, "fit": FIT_AT_EQUAL_COMPUTE},
        estimators=estimators,
    )


def _ladder(target: Layer, enough: float | None) -> Layer:
    """Return the keys of the ladder that goes as far as the target asks.

    Args:
        target: of the row.
        enough: relative error at which the ladder stops; None for that of the target.

    """
    keys = {}
    if limit := target.get("per_order_retrainings"):
        keys["per_order"] = limit
    error = enough or target.get("relative_error", math.inf)
    if error < TRUSTED_RELATIVE_ERROR:
        keys["relative_error"] = error
    return keys


def _cell(
    name: str,
    label: str,
    group: str,
    target: Layer | None = None,
    *,
    preset: str = "",
    optimizer: Layer | None = None,
    steps: int = 32,
    epochs: int = 1,
    unit_size: int = 64,
    mixed: float = 0.25,
    warmup: int = 600,
    orders: Layer | None = None,
    averaged_states: int | None = None,
    runs: int = RUNS,
    seeds: Layer | None = None,
    corpus: str = "",
    estimators: Sequence[Layer] | None = None,
    enough: float | None = None,
    precompute: float | None = None,
) -> Cell:
    ladder = _ladder(target or {}, enough) | ({"precompute": precompute} if precompute else {})
    corrected = {"method": "corrected", "path": "reference", "runs": runs}
    layer: Layer = {
        "optimizer": optimizer or {},
        "window": {
            "units": steps,
            **({"epochs": epochs} if epochs > 1 else {}),
            "unit_size": unit_size,
            "mixed_fraction": mixed,
            "warmup_steps": warmup,
        },
        "orders": {
            **{"calibration": CALIBRATION, "random": 32, "fit": 0, "block_sizes": []},
            **(orders or {}),
        },
        "estimators": [BASELINE, *(estimators or [corrected])],
        **({"ladder": ladder} if ladder else {}),
        "curriculum": None,
        "memorization": None,
        "averaged_states": averaged_states,
        "trajectories": 0,
        **(seeds or {}),
    }
    prepare = None
    if corpus:
        files = [str(path) for path in corpora.files(corpus)]
        layer["corpus"] = {"source": "files", "files": files}
        prepare = partial(corpora.write, corpus)
    study = Study(f"transfer-{name}", preset, layer)
    return Cell(study, label, {"group": group}, target=target or {}, prepare=prepare)
