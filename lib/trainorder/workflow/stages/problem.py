"""The learning problem, as scripts set it up."""

from dataclasses import asdict
from typing import Any

from trainorder.config.sections.model import ModelConfig
from trainorder.config.sections.readouts import metric_sets, readout_count
from trainorder.estimators.baselines.proxy import narrowed
from trainorder.workflow.stages.store import StoreSettings
from trainorder.workflow.stages.study import Config


class ProblemSettings(StoreSettings):
    """Parameters from which scripts open the model, the tokens and the start of the window."""

    @property
    def problem(self) -> Config:
        """What a script needs to set up the learning problem."""
        return {
            "key": self.keys.corpus,
            "model": self.config["model"],
            "seed": self.config["seeds"]["init"],
            "threads": self.config["threads"],
            "device": self.config["device"],
            **({"loss_scale": self.config["run"].get("loss_scale")} if self.config["run"] else {}),
        }

    @property
    def run_start(self) -> str | list[str]:
        """The start of an existing run, which has the detected loss scale."""
        run = self.config["run"]
        detected = run and run.get("loss_scale") is None
        return f"{self.results}/store/warm.h5" if detected else []

    @property
    def run_start_files(self) -> list[str]:
        """The files that the start of an existing run is read from."""
        if self.run_start and self.config["optimizer"]["gradient_clip"] is not None:
            return self.run_files  # the loss scale may show only in a later interval
        return self.run_files[: 4 if self.run_start else 2]

    @property
    def evaluated_problem(self) -> Config:
        """What a script needs to evaluate all metrics: with the multiple-choice task, if any."""
        return self.problem | self._choices

    @property
    def _choices(self) -> Config:
        count = self.config["multiple_choice"]
        seed = self.config["seeds"]["data"]
        return {"choices": {"count": count, "seed": seed}} if count else {}

    @property
    def evaluated_proxy_problem(self) -> Config:
        """What a script needs to evaluate all metrics of the narrower model of `proxy`."""
        return self.proxy_problem | self._choices

    @property
    def proxy_problem(self) -> Config:
        """The learning problem of the narrower model of the estimator `proxy`."""
        return self.problem | {"model": asdict(narrowed(ModelConfig(**self.config["model"])))}

    @property
    def proxy_key(self) -> str:
        """The key of the files that belong to the proxy model alone."""
        return self.keys.proxy(self.proxy_problem["model"])

    @property
    def readouts(self) -> int:
        """How many times along the window truth and reduced model evaluate the losses."""
        return readout_count(self.config["curriculum"])

    def reduced_readouts(self, wildcards: Any) -> int | None:
        """Return how many sets of losses the reduced model of a path reads; None without one."""
        if wildcards.path not in self.paths_read("reduced"):
            return None
        return self.readouts * metric_sets(self.config["averaged_states"])
