"""Copies measured tables between the marks of the README and the docs, and a figure.

python docs/quote_results.py results/default    # a study, in README.md and docs/choose_estimator.md
python docs/quote_results.py --published      # from docs/measured, in docs/published.md
python docs/quote_results.py --speed            # `make speed`, in docs/performance.md
"""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))  # contains `bench`

from bench import speed_page
from bench.answers import page as answers
from bench.answers.records import Records
from bench.applications_page import in_short
from bench.config_hash import config_text
from bench.default_record import default_record
from bench.page import replace_marked, short_number, table
from trainorder.evaluation.estimate_cost import estimate_cost
from trainorder.evaluation.results import Results
from trainorder.evaluation.verdict import TRUSTED
from trainorder.orders.order import CALIBRATION
from trainorder.storage.formats import read_json, write_json

DOCS = Path(__file__).parent
TOP = DOCS.parent
FIGURE = "overview.png"
SEARCHED = DOCS / "measured/applications.json"
# The rows of the table in the README: a description, and the estimator.
FRONT_PAGE = {
    "published method": "fut@reference",
    "known runs": "corrected-runs24@reference",
    "low-rank curvature": "nystrom@barycentre",
    "thousands of orders": "reduced@barycentre",
    "curvature and a subsample": "subsample10@barycentre",
    "exact expansion": "taylor1@barycentre",
}


def rank(scores: Mapping[str, Any]) -> str:
    """Return the rank correlation over random orders, with its interval and number of orders."""
    lds = scores["order_lds"]["heldout"]["random"]
    if lds["value"] is None:
        return f"undefined, n = {lds['n']}"
    value, low, high = (round(lds[key], 2) + 0.0 for key in ("value", "low", "high"))  # not -0.00
    return f"{value:.2f} [{low:.2f}, {high:.2f}], n = {lds['n']}"


def cost(retrainings: float) -> str:
    """Return a cost in retrainings, rounded to what matters."""
    if 0 < retrainings < 0.001:
        return "< 0.001"
    return f"{retrainings:.0f}" if retrainings >= 10 else f"{retrainings:.2g}"


def per_order(costs: Mapping[str, Any]) -> str:
    """Return the cost of an order in retrainings, with the seconds that it took."""
    return f"{cost(costs['per_order_retrainings'])} ({short_number(costs['seconds_per_order'])} s)"


def front_page(validation: Mapping[str, Any]) -> str:
    """Return the README's table: the estimators of `FRONT_PAGE` that the study has."""
    rows = []
    for role, name in FRONT_PAGE.items():
        scores = validation["estimators"].get(name)
        if scores is not None:
            rows.append(
                [
                    f"{role}: `{name}`, {scores['verdict']}",
                    rank(scores),
                    short_number(scores["relative_error"]["heldout"]["random"]),
                    cost(scores["cost"]["precompute_retrainings"]),
                    per_order(scores["cost"]),
                ]
            )
    head = ["estimator", "order-LDS [95 %]", "relative error", "precompute", "per order"]
    return table(head, rows)


def all_estimators(validation: Mapping[str, Any]) -> str:
    """Return the table of every estimator of the study."""
    rows = []
    for name, scores in validation["estimators"].items():
        costs, moved = scores["cost"], scores["parameter_error"]["random"]
        rows.append(
            [
                f"`{name}`",
                rank(scores),
                short_number(scores["relative_error"]["heldout"]["random"]),
                short_number(moved["mean"]) if moved["n"] else "–",
                cost(costs["precompute_retrainings"]),
                per_order(costs),
                scores["verdict"],
            ]
        )
    head = ["estimator", "order-LDS [95 %]", "relative error", "parameter error"]
    return table([*head, "precompute", "per order", "verdict"], rows)


def source(validation: Mapping[str, Any]) -> str:
    """Return the line with the study, its configuration and the spread of the truth."""
    provenance, spread = validation["provenance"], validation["spread"]["heldout"]["random"]
    everything = validation["retrain_all"]
    return (
        f"Study `{validation['study']}`, {config_text(provenance['config'])}. Costs are "
        "counted in retrainings, with measured seconds; retraining and evaluating all "
        f"{everything['orders']} random orders costs {cost(everything['total_retrainings'])}. "
        f"{worth(validation)} The true held-out loss of random orders has mean "
        f"{spread['mean']:.3f} and standard deviation {spread['std']:.4f} nats per token."
    )


def worth(validation: Mapping[str, Any]) -> str:
    """Return from how many orders on estimates cost less than retraining, as a sentence."""
    pays = {
        name: costs.break_even
        for name in FRONT_PAGE.values()
        if name in validation["estimators"]
        and validation["estimators"][name]["verdict"] == TRUSTED
        and (costs := estimate_cost(validation, name)) is not None
    }
    parts = ", ".join(f"`{name}` from {orders}" for name, orders in pays.items() if orders)
    return (
        f"Every verdict needs the {validation['orders'][CALIBRATION]} calibration orders. With "
        f"them, estimates cost less than retraining if you ask for many orders: {parts}."
    )


def measured_on(validation: Mapping[str, Any]) -> str:
    """Return versions, machine and seeds."""
    provenance = validation["provenance"]
    versions, machine = provenance["versions"], provenance["machine"]
    seeds = ", ".join(f"{name} {value}" for name, value in provenance["seeds"].items())
    return (
        f"Measured on: {machine['processor']}, {machine['cores']} cores; Python "
        f"{versions['python']}, torch {versions['torch']}, transformers "
        f"{versions['transformers']}. Seeds: {seeds}."
    )


def quote_study(results: Path) -> None:
    """Quote a study in the README and on the page about estimators, and copy its figure.

    `docs/measured/default.json` gets its numbers, from which other pages quote it.
    """
    validation = json.loads((results / "validation.json").read_text(encoding="utf-8"))
    shutil.copyfile(results / "figures" / FIGURE, DOCS / "figures" / FIGURE)
    write_json(DOCS / "measured/default.json", default_record(Results.read(results)))
    searched = in_short(read_json(SEARCHED))
    parts = [front_page(validation), source(validation), searched]
    replace_marked(TOP / "README.md", "results", "\n\n".join(parts))
    parts = [all_estimators(validation), source(validation), measured_on(validation)]
    replace_marked(DOCS / "choose_estimator.md", "estimators", "\n\n".join(parts))


def quote_speed() -> None:
    """Quote the measured speed on the page about performance."""
    record = json.loads((TOP / "results/bench/speed.json").read_text(encoding="utf-8"))
    parts = [speed_page.speed(record), speed_page.parts(record), speed_page.profile(record)]
    replace_marked(DOCS / "performance.md", "speed", "\n\n".join(parts))


def quote_published() -> None:
    """Quote what is measured of the claims and experiments of the published study."""
    records = Records(DOCS / "measured")
    parts = {**answers.sections(records), "scale": answers.scale(records)}
    for name, text in parts.items():
        replace_marked(DOCS / "published.md", name, text)


def main() -> None:
    """Quote what the command line names."""
    measured = {
        "--published": quote_published,
        "--speed": quote_speed,
    }
    if len(sys.argv) != 2:
        sys.exit(f"error: name a folder of results, or one of {', '.join(measured)}")
    try:
        quote = measured.get(sys.argv[1], lambda: quote_study(Path(sys.argv[1])))
        quote()
    except FileNotFoundError as error:
        sys.exit(f"error: {error.filename}: no such file; make it, or name another study")


if __name__ == "__main__":
    main()
