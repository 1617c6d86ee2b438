"""The parts of the default study that a study of a record has: few estimators, a short window."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from trainorder.config.checks import estimator_errors
from trainorder.config.reference import entry_mapping
from trainorder.config.sections.estimator import EstimatorConfig, search_estimators
from trainorder.config.sections.orders import OrdersConfig
from trainorder.config.study_config import Config

_DECIDED = ("corpus", "model", "optimizer", "window", "run")
# The default study also compares methods. Who asks about a run needs a trusted estimator and one
# for thousands of orders, and gets the verdict in half the time.
_METHODS = ("constant", "corrected", "nystrom", "reduced")


def fitted_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections with their defaults that must change to fit a record.

    Of the default estimators, those of four methods remain, if they fit. The search and the maps
    are removed if one of their estimators is. Block sizes that are larger than the window are
    removed. A section that the user has changed stays, and is checked later.

    Args:
        config: the configuration with the sections that the record decides.

    """
    default = Config()
    try:
        decided = Config(
            **{name: config[name] for name in _DECIDED},
            estimators=[EstimatorConfig("constant", "reference")],
            curriculum=None,
            memorization=None,
            orders=OrdersConfig(**_orders(config)),
        )
        given = [EstimatorConfig(**entry) for entry in config["estimators"]]
    except (ValidationError, KeyError, TypeError):  # reported where all of it is checked
        return {}
    changed: dict[str, Any] = {"orders": _orders(config)}
    if given != default.estimators:
        return changed
    kept = [
        entry
        for entry in given
        if entry.method in _METHODS and not estimator_errors(entry, decided)
    ]
    names = {entry.name for entry in kept}
    changed["estimators"] = [entry_mapping(entry) for entry in kept]
    if not {*search_estimators(kept)} <= names:
        changed.update(_without_default("curriculum", config, default))
    if default.memorization and default.memorization.estimator not in names:
        changed.update(_without_default("memorization", config, default))
    return changed


def _orders(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section `orders` with the default block sizes that fit the window."""
    orders, sizes = dict(config["orders"]), Config().orders.block_sizes
    if orders.get("block_sizes") == sizes:
        orders["block_sizes"] = [size for size in sizes if size <= config["window"]["units"]]
    return orders


def _without_default(name: str, config: Mapping[str, Any], default: Config) -> dict[str, Any]:
    """Return the section `name` as null if it has its defaults."""
    try:
        given = type(getattr(default, name))(**config[name])
    except (ValidationError, KeyError, TypeError):  # reported where all of it is checked
        return {}
    return {name: None} if given == getattr(default, name) else {}
