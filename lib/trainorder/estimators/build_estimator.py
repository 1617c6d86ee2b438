"""Builds the estimator that a configuration entry describes."""

from functools import cache
from importlib import import_module
from typing import Any

from trainorder.config.methods import METHODS
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.known_runs import KnownRuns
from trainorder.expansion.replay import Estimator, ExactReplay


@cache
def implementation(method: str) -> type[Estimator]:
    """Return the class of a method of rule `estimate`, and import its module only now.

    The code hash follows the import through the method's descriptor, not through this module.
    """
    module, _, name = METHODS[method].implementation.rpartition(".")
    kind: type[Estimator] = getattr(import_module(module), name)
    return kind


def build_estimator(
    config: EstimatorConfig,
    expansion: Expansion,
    *,
    model: LowRankExpansion | None = None,
    runs: KnownRuns | None = None,
    seed: int = 0,
) -> Estimator:
    """Return the estimator that `config` describes, about `expansion`.

    Its class is called with the expansion and with the keyword arguments that its descriptor asks
    for: `model` if it reads the curvature, `runs` if it reads residuals, `guard` if it takes a
    guard, `size` and `seed` if it takes a size.

    Args:
        config: an estimator whose method has the rule `estimate`.
        expansion: problem, optimizer, path and gradient table.
        model: the low-rank curvature, for the methods that read it.
        runs: the known runs, for the methods that read their residuals.
        seed: seed of estimators that draw random numbers.

    """
    method = config.descriptor
    arguments: dict[str, Any] = {}
    if "curvature" in method.reads:
        arguments["model"] = model
    if method.needs_run:
        arguments["runs"] = runs
    if method.takes_guard:
        arguments["guard"] = config.guard
    if method.takes_size:
        arguments |= {"size": config.size, "seed": seed}
    estimator = implementation(config.method)(expansion, **arguments)
    if isinstance(estimator, ExactReplay):
        estimator.tail = config.tail
    return estimator
