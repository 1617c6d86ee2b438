"""Writes the explorer page: one HTML file that loads no other file."""

import html
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from trainorder.data.metrics import MAIN_METRIC
from trainorder.evaluation.estimate_cost import cost_text
from trainorder.evaluation.interval_coverage import coverage_text
from trainorder.evaluation.results import SPLIT_WORDS, Results
from trainorder.explorer.metric_names import shown_metric
from trainorder.explorer.record import ESTIMATOR
from trainorder.orders.order import CALIBRATION, HELD_BACK

_FOLDER = Path(__file__).parent
# Scripts in the sequence in which they run; the search worker runs some of them again.
_SCRIPTS = (
    *("svg.js", "packed.js", "model.js", "replay.js", "metrics.js", "recalibration.js"),
    *("constraints.js", "search.js", "worker.js", "history.js", "order_text.js", "domains.js"),
    *("blocks.js", "legend.js", "labels.js", "strip_plot.js", "curves.js", "unit_panel.js"),
    *("comparison.js", "estimates.js", "order_note.js", "improve.js", "improve_panel.js"),
    *("order_tools.js", "explorer.js"),
)


def page(record: Mapping[str, Any], results: Results) -> str:
    """Return the page as one HTML text that loads no other file.

    Args:
        record: its data, from `page_record`.
        results: the study's results.

    """
    score = results.score(ESTIMATOR)
    coverage = results.coverage
    return Template(_text_of("template.html")).substitute(
        {
            "study": _text(results.validation["study"]),
            "estimator": ESTIMATOR,
            "verdict": _text(score["verdict"]),
            "reason": _text(score["verdict_reason"]),
            "advice": _text(score["advice"]),
            "intervals": _text(_intervals(score, coverage)),
            "cost": _text(cost_text(results.validation, ESTIMATOR)),
            "coverage": f"{100 * coverage:g}",
            "label": _text(results.label()),
            "agreement": _text(agreement(results)),
            "retrained": _text(retrained(record)),
            "covered": _text(covered(record)),
            "style": _text_of("style.css"),
            "record": embedded_json(record),
            "scripts": "\n".join(
                f'<script id="script-{Path(name).stem}">{_text_of(name)}</script>'
                for name in _SCRIPTS
            ),
        }
    )


def _intervals(score: Mapping[str, Any], aimed: float) -> str:
    """Return how often the intervals contain the truth, as a sentence; empty without intervals."""
    text = coverage_text(score["coverage"][MAIN_METRIC][HELD_BACK], aimed)
    return f"On held-back random orders {text}." if text else ""


def embedded_json(record: Mapping[str, Any]) -> str:
    """Return JSON for a `script` element; the names in it may contain anything.

    `</script` would end the element, and `<!--` with `<script` would keep it from ending, so every
    `<` is written as its escape.

    Raises:
        ValueError: a number is not finite.

    """
    return json.dumps(record, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def agreement(results: Results, metric: str = MAIN_METRIC) -> str:
    """Return how the page's estimates differ from those of the study's selected estimator."""
    selected = results.validation.get("selected_estimator")
    if selected == ESTIMATOR:
        return f"{ESTIMATOR}, which this page computes, is the study's selected estimator."
    if selected is None:
        return "The study selected no estimator."
    own, other = results.estimates[ESTIMATOR], results.estimates[selected]
    shared = [
        name
        for name, order in results.orders.items()
        if order["split"] == CALIBRATION and name in own and name in other
    ]
    first = f"The study's selected estimator is {selected}; this page computes {ESTIMATOR}."
    if not shared:
        return first + " No calibration order was estimated by both."
    apart = np.abs([own[name][metric] - other[name][metric] for name in shared])
    spread = np.std([results.truth[name][metric] for name in shared])
    return (
        f"{first} On {len(shared)} calibration orders their estimates of the "
        f"{shown_metric(metric)} differ by {apart.mean():.2g} nats per token on average "
        f"({apart.mean() / spread:.2f} standard deviations of these orders), "
        f"and by {apart.max():.2g} at most."
    )


def retrained(record: Mapping[str, Any]) -> str:
    """Return which orders were retrained, by their groups: the dots and the lines of the plots."""
    dots, lines = (
        Counter(record["groups"][name] for name in names)
        for names in (record["random"], [n for n in record["truth"] if n not in record["random"]])
    )
    listed = [
        ", ".join(f"{n} {SPLIT_WORDS.get(group, group)}" for group, n in counts.items())
        for counts in (lines, dots)
    ]
    return (
        "Orders that were retrained, so that the page has their true loss: "
        f"{listed[0] or 'none'} (lines in the plots); random orders: "
        f"{listed[1] or 'none'} (dots). "
        "All other orders are only estimated."
    )


def covered(record: Mapping[str, Any]) -> str:
    """Return how many intervals of held-back random orders contain the truth, by metric."""
    counts = {metric: splits[HELD_BACK] for metric, splits in record["coverage"].items()}
    listed = "; ".join(
        f"{record['names'][metric]} ({count['inside']} of {count['n']}"
        f"{', so the intervals are ' + count['judged'] if count['judged'] else ''})"
        for metric, count in counts.items()
        if count
    )
    if not listed:
        return "The study has too few calibration orders for intervals."
    return f"Held-back random orders whose true loss is inside its interval: {listed}."


def _text_of(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _text(value: Any) -> str:
    return html.escape(str(value))
