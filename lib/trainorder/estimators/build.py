"""The estimator of a configuration entry."""

from collections.abc import Callable

from trainorder.config.sections import EstimatorConfig
from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.estimators.constant import Constant
from trainorder.estimators.fut import FUT, FUTPlusPlus
from trainorder.estimators.nystrom import Nystrom
from trainorder.estimators.order0 import Order0
from trainorder.estimators.recency import Recency
from trainorder.estimators.subsample import Subsample
from trainorder.estimators.taylor import Taylor1, Taylor2
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.replay import Estimator, ExactReplay

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


def build_estimator(
    config: EstimatorConfig,
    expansion: Expansion,
    model: LowRankExpansion | None = None,
    seed: int = 0,
) -> Estimator:
    """Return the estimator that `config` asks for, about `expansion`.

    `model` is the low-rank expansion of `nystrom` and `subsample`; `seed` draws what `subsample`
    weighs its parts with.
    """
    estimator = _build(config, expansion, model, seed)
    if isinstance(estimator, ExactReplay):
        estimator.tail = config.tail
    return estimator


def _build(
    config: EstimatorConfig, expansion: Expansion, model: LowRankExpansion | None, seed: int
) -> Estimator:
    if config.method == "nystrom" and model is not None:
        return Nystrom(expansion, model)
    if config.method == "subsample" and model is not None and config.size is not None:
        return Subsample(expansion, model, config.size, seed)
    if config.method in PUBLISHED:
        return PUBLISHED[config.method](expansion, config.guard)
    return PLAIN[config.method](expansion)
