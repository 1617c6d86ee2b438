"""Costs of the published method and of ours at the published scale, on paper.

They are counted by the code of `snakemake plan` on configurations of that size, which are not run.
The model has the shape of `presets/paper.yaml`, or is wider. Shares that only a run can tell are
taken from the benchmark: the part of a unit that `corrected` needs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.page import NOT_MEASURED, number, table
from bench.studies import Study
from trainorder.compression.codecs import PUBLISHED_RATIO
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.evaluation.costs import precompute_stages
from trainorder.planning.plan import retrainings
from trainorder.planning.sizes import FLOAT, Sizes
from trainorder.planning.stage import Stage
from trainorder.planning.stages import stages
from trainorder.storage.formats import size_text

PUBLISHED_BYTES = 13.1e12  # of its terms at T = 256 (Yang et al. 2025, second-hand)
ORDERS = 1000  # further orders for which totals are compared
RUNS = 8  # known runs besides the reference
MODELS: dict[str, dict[str, Any]] = {  # the ends of the published range, by layer over the preset
    "0.2 B": {},
    "0.64 B": {"hidden_size": 1792, "intermediate_size": 4480, "layers": 16, "heads": 16},
}

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Scaled:
    """What a method costs at the published scale.

    Attributes:
        parameters: P.
        steps: T.
        precompute: what is computed once, in retrainings.
        per_order: what an order costs, in retrainings.
        path_bytes: of the expansion path.
        term_bytes: of all else that is computed once and stored.
        read_bytes: of the last stage of the precompute, which an estimate reads.

    """

    parameters: int
    steps: int
    precompute: float
    per_order: float
    path_bytes: int
    term_bytes: int
    read_bytes: int

    @property
    def total(self) -> float:
        """Retrainings of the precompute and of `ORDERS` orders."""
        return self.precompute + ORDERS * self.per_order


def scaled(model: str, estimator: Record, **layer: Any) -> Scaled:
    """Return what an estimator costs with a model of `MODELS` and the published window.

    Args:
        model: a key of `MODELS`.
        estimator: an entry of `estimators`.
        layer: further sections of the configuration.

    Raises:
        UserError: the configuration is not valid.

    """
    changes = {
        "model": MODELS[model],
        "estimators": [estimator],
        "orders": {"calibration": RUNS, "random": 2, "fit": 0, "block_sizes": []},
        "trajectories": 0,
        "shards": {"table": 1, "truth": 1, "curvature": 1, "estimate": 1},
        **layer,
    }
    sizes = Sizes(Study("published-scale", "paper", changes).config())
    entry = EstimatorConfig(**estimator)
    planned = {stage.name: stage for stage in stages(sizes)}
    once = [planned[name] for name in precompute_stages(entry) if name in planned]
    stored = sum(stage.bytes for stage in once) + entry.runs * sizes.residual_bytes
    return Scaled(
        parameters=sizes.P,
        steps=sizes.T,
        precompute=sum(retrainings(stage, sizes) for stage in once),
        per_order=_replay(planned[f"estimate/{entry.name}"], sizes),
        path_bytes=sizes.path_bytes,
        term_bytes=stored - sizes.path_bytes,
        read_bytes=once[-1].bytes,
    )


def _replay(stage: Stage, sizes: Sizes) -> float:
    """Return the retrainings of the replay of one order, without evaluations."""
    passes = {kind: n for kind, n in stage.counts.items() if kind != "losses"}
    return retrainings(replace(stage, counts=passes), sizes) / stage.orders


def methods(share: float | None) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return an entry of `estimators`, and further sections, of each method that is compared.

    Args:
        share: the part of a unit that `corrected` differentiates; None leaves it out.

    """
    rows: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "published method, whole table": (
            {"method": "fut", "path": "reference", "guard": 1.0},
            {"expansion": {"anchors": "all"}},
        )
    }
    if share is not None:
        unit = Study("published-scale", "paper").config()["window"]["unit_size"]
        one = {"method": "corrected", "path": "reference", "size": max(1, round(share * unit))}
        rows |= {
            "`corrected`, one known run": (one, {}),
            f"`corrected`, {1 + RUNS} known runs": ({**one, "runs": RUNS}, {}),
        }
    anchors = {"expansion": {"anchors": "auto"}}
    return rows | {"`reduced`": ({"method": "reduced", "path": "barycentre"}, anchors)}


def scale_table(share: float | None) -> str:
    """Return the table of costs at the published scale, and what it is made from.

    Args:
        share: the part of a unit that `corrected` needs, as measured; None if it is not measured.

    """
    costs = {
        model: {
            name: scaled(model, estimator, **layer)
            for name, (estimator, layer) in methods(share).items()
        }
        for model in MODELS
    }
    head = ["parameters", "method", "terms of P numbers", "stored", "precompute", "per order"]
    rows = [
        _row(model, name, one) for model, by_name in costs.items() for name, one in by_name.items()
    ]
    return f"{table([*head, f'{ORDERS:,} orders'], rows)}\n\n{_notes(costs, share)}"


def _row(model: str, name: str, costs: Scaled) -> list[str]:
    return [
        model,
        name,
        f"{costs.term_bytes / costs.parameters / FLOAT:,.0f}",
        size_text(costs.term_bytes),
        number(costs.precompute),
        number(costs.per_order),
        f"{costs.total:,.0f}",
    ]


def _notes(costs: Mapping[str, Mapping[str, Scaled]], share: float | None) -> str:
    """Return a list of what the numbers of the table mean."""
    first = next(iter(costs["0.2 B"].values()))
    last = {model: list(by_name.values())[-1] for model, by_name in costs.items()}
    paths = ", ".join(f"{size_text(one.path_bytes)} ({model})" for model, one in last.items())
    read = ", ".join(f"{size_text(one.read_bytes)} ({model})" for model, one in last.items())
    terms = first.steps**2
    per_number = PUBLISHED_BYTES / (terms * first.parameters)
    needed = NOT_MEASURED if share is None else f"{share:.0%} of a unit"
    lines = [
        f"T = {first.steps} steps of one unit. Costs are in retrainings of this window, so "
        f"retraining {ORDERS:,} orders costs {ORDERS:,}.",
        f"The published {size_text(PUBLISHED_BYTES)} for {terms:,} terms of "
        f"{first.parameters / 1e9:.1f} billion numbers are {per_number:.2g} bytes per number; the "
        f"projected {size_text(PUBLISHED_BYTES / PUBLISHED_RATIO)} are 1/{PUBLISHED_RATIO} of "
        "them. The table counts its terms in single precision.",
        "`corrected` differentiates as much as it needs in the longest measured window, with known "
        f"runs: {needed}. It stores residuals in bytes. Not included: the known runs, which are "
        "calibration orders, and the choice of the size.",
        f"So for {ORDERS:,} orders `corrected` costs about as much as the published method, and "
        "for more orders more. What it gains are bytes, and estimates that rank orders.",
        f"`reduced` stores its table and curvature while it is made; estimates then read {read}.",
        f"Not included: the expansion path, which every method stores while it is made: {paths}.",
        "Counted by `bench/answers/scale.py` with the code of `snakemake plan`. Nothing of this "
        "size was run, so nothing is known of its accuracy there.",
    ]
    return "\n".join(f"* {line}" for line in lines)
