"""What the measurements of speed share: a finished study with its problem, window and files."""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from bench.studies import Study
from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.curvature.probe_schedules import probe_schedules
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.gradient_table import Table
from trainorder.expansion.path import StoredPath
from trainorder.storage.sealed_hdf5 import opened
from trainorder.training.checkpoints import read_state
from trainorder.training.meter import Meter
from trainorder.training.optimizer import Optimizer, State, build_optimizer
from trainorder.training.problem import LanguageProblem


@dataclass
class Setting:
    """The measured study with its open files."""

    study: Study
    stack: ExitStack

    @cached_property
    def params(self) -> dict[str, Any]:
        """Parameters of the rule `reference`, as the study ran it."""
        params: dict[str, Any] = self.study.job("reference")["params"]
        return params

    @cached_property
    def problem(self) -> LanguageProblem:
        """The learning problem; torch uses as many threads as in the jobs of the study."""
        corpus = str(self.study.results / "corpus.h5")
        return LanguageProblem.load(corpus, Meter(), **self.params["problem"])

    @cached_property
    def window(self) -> WindowConfig:
        """The window."""
        return WindowConfig(**self.params["window"])

    @cached_property
    def optimizer(self) -> Optimizer:
        """The optimizer of the study."""
        return build_optimizer(OptimizerConfig(**self.params["optimizer"]), self.window.horizon)

    @cached_property
    def start(self) -> State:
        """The state before the window."""
        return read_state(str(self.store("warm.h5")), self.params["key"], "warm")

    def store(self, name: str) -> Path:
        """Return a file of the store."""
        return self.study.results / "store" / name

    def schedules(self, count: int) -> Tensor:
        """Return random schedules (count, T, k)."""
        shape = (self.window.steps, self.window.units_per_step)
        return probe_schedules(shape, self.window.units, 0, count)

    def expansion(self) -> Expansion:
        """Return the expansion about the barycentre path."""
        key = self.params["key"]
        path, table = (
            self.stack.enter_context(opened(self.store(f"barycentre/{name}"), key, "barycentre"))
            for name in ("path.h5", "table-0.h5")
        )
        return Expansion(self.problem, self.optimizer, StoredPath(path), Table([table]))
