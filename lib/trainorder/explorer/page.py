"""Builds the explorer page from the reduced model and the result files of a study."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from torch import Tensor

from trainorder.config.estimator_names import SCREENING
from trainorder.curvature.reduced_model import ReducedModel
from trainorder.evaluation.results import Results
from trainorder.orders.order import REFERENCE

ESTIMATOR = SCREENING
_FOLDER = Path(__file__).parent
_SHOWN = (
    "reference",
    "structured",
    "custom",
    "random",
    "calibration",
)  # splits, in the sequence of the menu


def model_record(model: ReducedModel) -> dict[str, Any]:
    """Return what the page needs to replay schedules: arrays in base64.

    The arrays are those of the model that predicts the losses at the end of the window only.
    """
    narrow, count = model.at_end(), model.averaged_states
    return {
        "goals": list(model.goals),
        **({} if count is None else {"averaged_states": count}),
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
    """Return the page as one HTML text that loads no other file.

    Args:
        model: the reduced model.
        results: the study's results.
        unit_domains: the domain of each of the U units.
        more: further schedules (T, k) by name that the menu offers, for instance searched orders.

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
        "recalibration": score["recalibration"],
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
            "missed": f"{100 * (1 - coverage):g}",
            "label": _text(results.label()),
            "record": embedded_json(record),
            "reduced_js": (_FOLDER / "reduced.js").read_text(encoding="utf-8"),
            "recalibration_js": (_FOLDER / "recalibration.js").read_text(encoding="utf-8"),
            "explorer_js": (_FOLDER / "explorer.js").read_text(encoding="utf-8"),
        }
    )


def embedded_json(record: Mapping[str, Any]) -> str:
    """Return JSON for a `script` element; the names in it may contain anything.

    `</script` would end the element, and `<!--` with `<script` would keep it from ending, so every
    `<` is written as its escape.

    Raises:
        ValueError: a number is not finite.

    """
    return json.dumps(record, allow_nan=False).replace("<", "\\u003c")


def offered(orders: Sequence[Mapping[str, Any]], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schedules in the menu by name: the study's orders, then those in `more`.

    A searched order that was added to the study as a custom order is in both. The plain name then
    means the study's order, because the page shows its truth.
    """
    own = {order["name"]: order["schedule"] for order in orders}
    return own | {f"{name} (searched)" if name in own else name: more[name] for name in more}


def _text(value: Any) -> str:
    return html.escape(str(value))
