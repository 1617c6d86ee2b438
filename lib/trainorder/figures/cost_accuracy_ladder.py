"""How accuracy grows with the size of the subsample, and which size was selected."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from trainorder.evaluation.results import Results
from trainorder.figures import style
from trainorder.figures.ladder_panels import draw_levels, mark_selected


def draw(results: Results) -> Figure:
    """Draw order-LDS and relative error of each size that was tried, against its cost."""
    if results.ladder is None:
        raise ValueError("the study selected no size")
    content, cost = results.ladder, "per_order_retrainings"
    figure = style.new_figure(1.8, results.label(_text(content)))
    panels = figure.subplots(1, 2)
    draw_levels(panels, content["levels"], cost=cost, value=lambda level: f"({level['size']})")
    [chosen] = [level for level in content["levels"] if level["size"] == content["selected"]]
    mark_selected(panels, chosen[cost])
    for panel in panels:
        panel.set_xlabel("retrainings per order (size)")
    return figure


def _text(content: Mapping[str, Any]) -> str:
    following = content["next"]
    more = ""
    if following:
        more = (
            f"; the next size, {following['size']}, would cost "
            f"{following['per_order_retrainings']:.2g} retrainings per order"
        )
    return f"{content['estimator']}: size {content['selected']}, {content['reason']}{more}"
