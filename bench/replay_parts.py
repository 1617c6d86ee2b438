"""Divides the seconds of a replay into gradients, reading the store and arithmetic on vectors.

The whole replay, its gradients alone and its reading alone are timed in turn. The arithmetic on
parameter vectors is the difference: the optimizer, the combination of residuals or the products
with low-rank curvature, and projections for distances.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from bench.speed_setting import Setting
from bench.timing import alternating_medians
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.estimators.open_estimator import opened_estimator
from trainorder.evaluation.ladder import selected_config
from trainorder.expansion.replay import Estimator
from trainorder.expansion.store import Store
from trainorder.numerics.derivatives import gradient
from trainorder.storage.formats import read_json
from trainorder.training.meter import Meter
from trainorder.training.problem import LanguageProblem

ORDERS = 8  # replayed at once
NYSTROM = "nystrom@barycentre"

Opening = Callable[[LanguageProblem], AbstractContextManager[Estimator]]


@dataclass
class RecordingProblem(LanguageProblem):
    """The learning problem, which also records the sequences of every loss of a subsample.

    Attributes:
        samples: unit and sequence (n, 2) int64 of each loss.

    """

    samples: list[np.ndarray] = field(default_factory=list)

    def sample_loss(self, theta: Tensor, rows: np.ndarray) -> Tensor:
        """Return the loss as `LanguageProblem` does, and record `rows` (n, 2)."""
        self.samples.append(rows)
        return super().sample_loss(theta, rows)


def replay_parts(setting: Setting) -> dict[str, Any]:
    """Return the parts of a replay by `corrected`, with the selected size, and by `nystrom`.

    Raises:
        UserError: the study has no `ladder.json`, or a file of its store is missing or damaged.

    """
    ladder = read_json(setting.study.results / "ladder.json", "ladder")
    selected, seed = _configured(setting, ladder["estimator"])
    other, _ = _configured(setting, NYSTROM)
    configs = {selected.name: selected_config(selected, ladder), other.name: other}
    parts = {name: _parts(setting, config, seed) for name, config in configs.items()}
    return {
        "orders": ORDERS,
        "selected": selected.name,
        "size": ladder["selected"],
        "runs": selected.runs,
        "estimators": parts,
    }


def _configured(setting: Setting, name: str) -> tuple[EstimatorConfig, int]:
    """Return an estimator of the study, and the seed of its random numbers."""
    params = setting.study.job(f"estimate-{name}-0")["params"]
    return EstimatorConfig(**params["estimator"]), params["seed"]


def _parts(setting: Setting, config: EstimatorConfig, seed: int) -> dict[str, Any]:
    problem, schedules = setting.problem, setting.schedules(ORDERS)
    store = Store(setting.store(""), setting.params["key"])
    opening = partial(_opened, setting, config, store, seed)
    samples, theta = sampled(opening, problem, schedules), setting.start.parameters

    def differentiate() -> None:
        for rows in samples:
            gradient(partial(problem.sample_loss, rows=rows), theta)

    def read() -> None:
        with opening(problem) as estimator:
            estimator.expansion.copies(0, ORDERS)

    def replay() -> None:
        with opening(problem) as estimator:
            estimator.replay(schedules, _ignore)

    middle = alternating_medians({"replay": replay, "gradients": differentiate, "reading": read})
    files = [file for kind in config.descriptor.reads for file in store.files(config.path, kind)]
    if config.runs:
        files += store.files(config.path, "known_runs")
    return {
        "seconds": {**middle, "arithmetic": arithmetic(middle)},
        "sequences": sum(map(len, samples)),
        "file_bytes": sum(file.stat().st_size for file in files),
    }


def _opened(
    setting: Setting, config: EstimatorConfig, store: Store, seed: int, problem: LanguageProblem
) -> AbstractContextManager[Estimator]:
    return opened_estimator(config, problem, setting.optimizer, store=store, seed=seed)


def _ignore(t: int, parameters: Tensor) -> None:
    """Observe nothing."""


def sampled(opening: Opening, problem: LanguageProblem, schedules: Tensor) -> list[np.ndarray]:
    """Return the subsamples, (n, 2) int64 each, that a replay of `schedules` differentiates.

    Args:
        opening: opens an estimator of a problem.
        problem: the learning problem.
        schedules: (O, T, k) int64.

    """
    recording = RecordingProblem(
        problem.model, problem.corpus, Meter(), problem.questions, problem.loss_scale
    )
    with opening(recording) as estimator:
        estimator.replay(schedules, _ignore)
    return recording.samples


def arithmetic(seconds: dict[str, float]) -> float:
    """Return what is left of `replay` without `gradients` and `reading`."""
    return seconds["replay"] - seconds["gradients"] - seconds["reading"]
