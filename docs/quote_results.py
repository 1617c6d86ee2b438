"""Quotes measurements in the README: tables between marks, a figure.

python docs/quote_results.py                    # of `make bench`; its speed in docs/performance.md
python docs/quote_results.py results/default    # of a single study
python docs/quote_results.py --applications     # of `make applications`, from docs/measured
"""

import json
import shutil
import sys
from pathlib import Path

DOCS = Path(__file__).parent
README, PERFORMANCE = DOCS.parent / "README.md", DOCS / "performance.md"
FIGURE = "estimated_vs_true_random.png"


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


def between(page: Path, name: str, text: str) -> None:
    """Rewrite what stands between a page's marks `name`."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    content = page.read_text(encoding="utf-8")
    before, after = content.split(begin)[0], content.split(end)[1]
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def figure(results: Path) -> str:
    """Copy a study's figure, and return what shows it."""
    (DOCS / "figures").mkdir(exist_ok=True)
    shutil.copyfile(results / "figures" / FIGURE, DOCS / "figures" / FIGURE)
    return f"![Estimated against true](docs/figures/{FIGURE})"


def quote_study(results: Path) -> None:
    """Quote a single study in the README."""
    validation = json.loads((results / "validation.json").read_text(encoding="utf-8"))
    between(README, "results", f"{table(validation)}\n\n{figure(results)}")


def quote_bench(results: Path) -> None:
    """Quote the benchmark in the README, and its speed on the page on performance."""
    sys.path.append(str(DOCS.parent))
    from bench import page

    record = json.loads((results / "bench/bench.json").read_text(encoding="utf-8"))
    parts = [page.targets(record), page.footnote(record), page.estimators(record)]
    shown = figure(results / next(iter(record["studies"])))
    between(README, "results", "\n\n".join([*parts, shown]))
    performance = record["performance"]
    parts = [page.speed(performance), page.profile(performance), page.memory(record["studies"])]
    between(PERFORMANCE, "speed", "\n\n".join(parts))


def quote_applications() -> None:
    """Quote what searched orders gain and how the maps of positions agree, in the README."""
    sys.path.append(str(DOCS.parent))
    from bench import applications_page

    record = json.loads((DOCS / "measured/applications.json").read_text(encoding="utf-8"))
    between(README, "gains", applications_page.gains(record))
    between(README, "agreement", applications_page.agreement(record))


def main() -> None:
    """Quote what the command line names, or else the benchmark."""
    try:
        if sys.argv[1:] == ["--applications"]:
            quote_applications()
        elif len(sys.argv) > 1:
            quote_study(Path(sys.argv[1]))
        else:
            quote_bench(Path("results"))
    except FileNotFoundError as error:
        sys.exit(f"error: {error.filename}: no such file; run `make bench`, or name a study")


if __name__ == "__main__":
    main()
