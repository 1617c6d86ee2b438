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
        f"{rank}, n = {lds['n']}",
        "not finite" if error is None else f"{error:.2g}",
        "not finite" if moved is None else f"{moved:.2g}",
        str(scores["diverged"]["count"]),
        scores["verdict"],
    ]
    return f"| {' | '.join(cells)} |"


def table(validation: dict) -> str:
    """Return the table and the line that says what it was measured with."""
    made, spread = validation["provenance"], validation["spread"]["heldout"]["random"]
    versions, machine, seeds = made["versions"], made["machine"], made["seeds"]
    head = [
        "| estimator | precompute (retrainings) | an order (retrainings) "
        "| order-LDS of `heldout`, random orders [95 %] | mean error (nats/token) "
        "| parameter error | diverged | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows = [row(name, scores) for name, scores in validation["estimators"].items()]
    source = (
        f"Study `{validation['study']}`: verdict **{validation['verdict']}**, best estimator "
        f"`{validation['best_estimator']}`. True `heldout` over random orders: mean "
        f"{spread['mean']:.4f}, standard deviation {spread['std']:.4f} nats per token. "
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
