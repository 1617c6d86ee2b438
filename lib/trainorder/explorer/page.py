"""Builds the page from the reduced model and the result files."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from torch import Tensor

from trainorder.curvature.reduced_model import ReducedModel
from trainorder.evaluation.results import REFERENCE, Results

ESTIMATOR = "reduced@barycentre"
_FOLDER = Path(__file__).parent
_SHOWN = ("reference", "structured", "custom", "random", "calibration")  # splits, in the menu


def model_record(model: ReducedModel) -> dict[str, Any]:
    """Return what the page needs to replay schedules: arrays in base64, for the end alone."""
    narrow = model.at_end()
    return {
        "goals": list(model.goals),
        "arrays": {name: _encoded(value) for name, value in narrow.items()},
    }


def _encoded(value: Tensor | np.ndarray) -> dict[str, Any]:
    array = np.ascontiguousarray(value.numpy() if isinstance(value, Tensor) else value)
    if array.dtype != np.float32:
        array = array.astype(np.float64)
    return {
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "base64": base64.b64encode(array.tobytes()).decode("ascii"),
    }


def page(
    model: ReducedModel, results: Results, unit_domains: list[str], more: Mapping[str, Any]
) -> str:
    """Return the page as HTML; it loads nothing from anywhere.

    Args:
        model: the reduced model.
        results: of the study.
        unit_domains: U names.
        more: schedules by name to offer beside the study's own, the searched ones for instance.

    """
    score = results.score(ESTIMATOR)
    ranked = sorted(
        (order for order in results.orders.values() if order["split"] in _SHOWN),
        key=lambda order: _SHOWN.index(order["split"]),
    )
    record = {
        "model": model_record(model),
        "unit_domains": unit_domains,
        "units_per_step": len(results.orders[REFERENCE]["schedule"][0]),
        "orders": offered(ranked, more),
        "radius": score["interval_radius"],
        "range": score["calibrated_range"],
        "truth": results.truth,
        "reference": results.estimates[ESTIMATOR][REFERENCE],
    }
    coverage = results.validation["provenance"]["config"]["validation"]["coverage"]
    return Template((_FOLDER / "template.html").read_text(encoding="utf-8")).substitute(
        {
            "study": _text(results.validation["study"]),
            "estimator": ESTIMATOR,
            "verdict": _text(score["verdict"]),
            "reason": _text(score["verdict_reason"]),
            "advice": _text(score["advice"]),
            "coverage": f"{100 * coverage:g}",
            "label": _text(results.label()),
            # A `</script>` inside would end the element.
            "record": json.dumps(record, allow_nan=False).replace("</", "<\\/"),
            "reduced_js": (_FOLDER / "reduced.js").read_text(encoding="utf-8"),
            "explorer_js": (_FOLDER / "explorer.js").read_text(encoding="utf-8"),
        }
    )


def offered(orders: Sequence[Mapping[str, Any]], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return schedules by name: of a study's orders, and of `more`.

    Both may have one name, where a searched order was fed back as a custom one; the name alone is
    the study's, whose truth is shown with it.
    """
    own = {order["name"]: order["schedule"] for order in orders}
    return own | {f"{name} (searched)" if name in own else name: more[name] for name in more}


def _text(value: Any) -> str:
    return html.escape(str(value))
