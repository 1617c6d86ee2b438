"""How accuracy grows with the probing of the low-rank curvature, and where probing ended."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from trainorder.evaluation.results import Results
from trainorder.figures import style
from trainorder.figures.ladder_panels import draw_levels, mark_selected

COST = "precompute_retrainings"


def draw(results: Results) -> Figure:
    """Draw order-LDS and relative error of each level that was tried, against its precompute.

    Each expansion path has a row.
    """
    if results.ranks is None:
        raise ValueError("the study tried no low-rank curvature")
    texts = [_text(path, content) for path, content in results.ranks.items()]
    figure = style.new_figure(0.7 + 1.7 * len(texts), results.label("; ".join(texts)))
    rows = figure.subplots(len(texts), 2, squeeze=False)
    for panels, (path, content) in zip(rows, results.ranks.items(), strict=True):
        draw_levels(panels, content["levels"], cost=COST, value=_rank_and_pool)
        mark_selected(panels, content["levels"][-1][COST])
        for panel in panels:
            panel.set_xlabel(f"precompute in retrainings,\nrank, pool\n{path} path")
    return figure


def _rank_and_pool(level: Mapping[str, Any]) -> str:
    return f"{level['rank']}\n{level['pool']}"


def _text(path: str, content: Mapping[str, Any]) -> str:
    return (
        f"{path} path: rank {content['rank']}, pools of {content['pool']}: {content['reason']}; "
        f"twice the probes or sequences would cost a precompute of "
        f"{content['next'][COST]:.3g} retrainings"
    )
