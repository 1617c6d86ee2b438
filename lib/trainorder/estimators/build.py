"""The estimator of a configuration entry."""

from collections.abc import Callable

from trainorder.config import EstimatorConfig
from trainorder.estimators.base import Estimator, ExactReplay, Expansion
from trainorder.estimators.constant import Constant
from trainorder.estimators.fut import FUT
from trainorder.estimators.futpp import FUTPlusPlus
from trainorder.estimators.order0 import Order0
from trainorder.estimators.recency import Recency
from trainorder.estimators.taylor1 import Taylor1
from trainorder.estimators.taylor2 import Taylor2

PLAIN: dict[str, Callable[[Expansion], Estimator]] = {
    "constant": Constant,
    "order0": Order0,
    "recency": Recency,
    "taylor1": Taylor1,
    "taylor2": Taylor2,
}
PUBLISHED: dict[str, Callable[[Expansion, float | None], Estimator]] = {
    "fut": FUT,
    "fut++": FUTPlusPlus,
}


def build_estimator(config: EstimatorConfig, expansion: Expansion) -> Estimator:
    """Return the estimator that `config` asks for, about `expansion`."""
    estimator = _build(config, expansion)
    if isinstance(estimator, ExactReplay):
        estimator.tail = config.tail
    return estimator


def _build(config: EstimatorConfig, expansion: Expansion) -> Estimator:
    if config.method in PUBLISHED:
        return PUBLISHED[config.method](expansion, config.guard)
    return PLAIN[config.method](expansion)
