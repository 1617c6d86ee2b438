"""How accuracy grows with the rank of the low-rank curvature, and at which rank probing ended."""

from matplotlib.figure import Figure

from trainorder.evaluation.results import Results
from trainorder.figures import style
from trainorder.figures.ladder_panels import draw_levels, mark_selected

COST = "precompute_retrainings"


def draw(results: Results) -> Figure:
    """Draw order-LDS and relative error of each rank that was tried, against its precompute.

    Each expansion path has a row.
    """
    if results.ranks is None:
        raise ValueError("the study selected no rank")
    texts = [
        f"{path} path: rank {content['rank']}, {content['reason']}"
        for path, content in results.ranks.items()
    ]
    figure = style.new_figure(0.4 + 1.5 * len(texts), results.label("; ".join(texts)))
    rows = figure.subplots(len(texts), 2, squeeze=False)
    for panels, (path, content) in zip(rows, results.ranks.items(), strict=True):
        draw_levels(panels, content["levels"], cost=COST, value="rank")
        mark_selected(panels, content["levels"][-1][COST])
        for panel in panels:
            panel.set_xlabel(f"precompute in retrainings (rank)\n{path} path")
    return figure
