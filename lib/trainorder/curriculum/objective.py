"""The objective of a search: a weighted sum of metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainorder.data.metrics import AVERAGED, metric_names, metric_values
from trainorder.errors import UserError


@dataclass(frozen=True)
class Objective:
    """The sum of weight times metric, in nats per token; lower is better.

    Attributes:
        weights: weight by metric, for instance `heldout` or `averaged_heldout/<domain>`.

    """

    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        """Check the weights.

        Raises:
            UserError: `weights` is not a mapping, or empty.

        """
        if not isinstance(self.weights, Mapping) or not self.weights:
            raise UserError(
                f"objective: {self.weights!r} gives no weights by metric; use a mapping, "
                "for example {'heldout': 1.0}"
            )

    @property
    def reads_averages(self) -> bool:
        """Whether it uses metrics of averaged weights."""
        return any(name.startswith(AVERAGED) for name in self.weights)

    def of(self, metrics: Sequence[str], values: np.ndarray) -> np.ndarray:
        """Return the objective (...,) of `values` (..., M), the columns named by `metrics`.

        Raises:
            UserError: the study does not have a metric.

        """
        for name in self.weights:
            if name not in metrics:
                raise UserError(
                    f"curriculum.objective: no metric `{name}`; this study has {', '.join(metrics)}"
                )
        # Metrics without a weight may be NaN: not every estimator has all of them.
        used = values[..., [list(metrics).index(name) for name in self.weights]]
        total: np.ndarray = used @ np.array(list(self.weights.values()))
        return total

    def of_domains(self, domains: Sequence[str], values: np.ndarray) -> np.ndarray:
        """Return the objective (...,) of `values`, the losses that `metric_values` describes.

        They are (..., D), the losses of the domains, or (..., 2 D) with those of averaged weights.

        Raises:
            UserError: the study does not have a metric.

        """
        names = metric_names(domains, averaged=values.shape[-1] > len(domains))
        return self.of(names, metric_values(values, len(domains)))
