"""Quotes a study in the README: its figure, and a table between the `results` marks.

python docs/quote_results.py results/default
"""

import json
import shutil
import sys
from pathlib import Path

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
FIGURE = "estimated_vs_true_random.png"
BEGIN, END = "<!-- results -->", "<!-- /results -->"


def shown(value: float | None) -> str:
    """Return a mean with two digits."""
    return "not finite" if value is None else f"{value:.2g}"


def row(name: str, scores: dict) -> str:
    """Return an estimator's row of the table."""
    lds, cost = scores["order_lds"]["heldout"]["random"], scores["cost"]
    rank = "undefined"
    if lds["value"] is not None:
        rank = f"{lds['value']:.2f} [{lds['low']:.2f}, {lds['high']:.2f}]"
    error, moved = scores["mae"]["heldout"]["random"], scores["parameter_error"]["random"]["mean"]
    cells = [
        f"`{name}`",
        f"{cost['precompute_retrainings']:.1f}",
        f"{cost['per_order_retrainings']:.2g}",
        f"{cost['total_retrainings']:.1f}",
        f"{rank}, n = {lds['n']}",
        shown(error),
        "–" if not scores["parameter_error"]["random"]["n"] else shown(moved),
        str(scores["diverged"]["count"]),
        scores["verdict"],
    ]
    return f"| {' | '.join(cells)} |"


def table(validation: dict) -> str:
    """Return the table and the line that says what it was measured with."""
    made, spread = validation["provenance"], validation["spread"]["heldout"]["random"]
    everything = validation["retrain_all"]
    versions, machine, seeds = made["versions"], made["machine"], made["seeds"]
    head = [
        "| estimator | precompute (retrainings) | an order (retrainings) "
        f"| {everything['orders']} orders (retrainings) "
        "| order-LDS of `heldout`, random orders [95 %] | mean error (nats/token) "
        "| parameter error | diverged | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    rows = [row(name, scores) for name, scores in validation["estimators"].items()]
    source = (
        f"Study `{validation['study']}`: verdict **{validation['verdict']}**, best estimator "
        f"`{validation['best_estimator']}`. Retraining and evaluating all {everything['orders']} "
        f"orders takes {everything['total_retrainings']:.1f} retrainings. True `heldout` over "
        f"random orders: mean {spread['mean']:.4f}, standard deviation {spread['std']:.4f} "
        f"nats per token. "
        f"{machine['processor']}, {machine['cores']} cores; Python {versions['python']}, "
        f"torch {versions['torch']}, transformers {versions['transformers']}; seeds "
        f"{', '.join(f'{name} {value}' for name, value in seeds.items())}."
    )
    return "\n".join([*head, *rows, "", source])


def main() -> None:
    """Copy the figure and rewrite what stands between the marks."""
    results = Path(sys.argv[1])
    validation = json.loads((results / "validation.json").read_text(encoding="utf-8"))
    (DOCS / "figures").mkdir(exist_ok=True)
    shutil.copyfile(results / "figures" / FIGURE, DOCS / "figures" / FIGURE)
    text = README.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    quoted = (
        f"{BEGIN}\n{table(validation)}\n\n![Estimated against true](docs/figures/{FIGURE})\n{END}"
    )
    README.write_text(f"{before}{quoted}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
