"""The record of the default study, from which pages quote it: `docs/measured/default.json`."""

from typing import Any

from bench.grid import summary
from trainorder.evaluation.estimate_cost import estimate_cost
from trainorder.evaluation.results import Results

_OF_A_STORE = ("store", "size", "read", "bytes", "ratio", "table_error", "inner_product_error")
_ERRORS = ("parameter_error", "loss_error_over_spread")


def default_record(results: Results) -> dict[str, Any]:
    """Return the numbers of a finished study that pages quote, with its configuration."""
    record = summary(results)
    record["metrics"] = results.metrics
    record["retrain_all"] = results.validation["retrain_all"]
    for name, entry in record["estimators"].items():
        cost = estimate_cost(results.validation, name)
        entry["break_even"] = None if cost is None else cost.break_even
    if results.stores is not None:
        # In nats: the spread in the file is that of the replayed orders, not of the true losses.
        spread = results.stores["loss_spread"]
        record["stores"] = [
            {key: store[key] for key in (*_OF_A_STORE, *_ERRORS)}
            | {"loss_error": _times(store["loss_error_over_spread"], spread)}
            for store in results.stores["stores"]
        ]
    if results.curriculum is not None:
        record["curriculum"] = {key: results.curriculum[key] for key in ("compute", "gains")}
        record["curriculum"]["orders"] = [
            {key: order[key] for key in ("name", "kind", "true")}
            for order in results.curriculum["orders"]
        ]
    if results.memorization is not None:
        record["agreement"] = results.memorization["agreement"]
    return record


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
