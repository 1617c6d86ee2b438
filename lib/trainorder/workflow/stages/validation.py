"""Estimates, truth, and their comparison."""

from trainorder.config.sections.orders import orders_config
from trainorder.evaluation.costs import precompute_stages
from trainorder.evaluation.result_files import PREDICTABILITY
from trainorder.storage.formats import sha256_file
from trainorder.workflow.stages.store import StoreSettings
from trainorder.workflow.stages.study import Config


class ValidationSettings(StoreSettings):
    """What rule `validate` reads, and its parameters."""

    @property
    def estimate_files(self) -> list[str]:
        """The estimates of all estimators."""
        jobs = self._estimate_jobs
        jobs += [f"{self.open_estimator}/calibration"] if self.open_estimator else []
        return [f"{self.results}/estimates/{job}.h5" for job in jobs]

    @property
    def cost_files(self) -> list[str]:
        """The costs of truth, of estimates, and of the stages that both need."""
        needed = {stage for e in self.estimators.values() for stage in precompute_stages(e)}
        always = ("corpus", "warm", "orders", "predictability", "reference", "manifest")
        stages = [*always, *sorted(needed)]
        jobs = [job for stage in dict.fromkeys(stages) for job in self._jobs(stage)]
        jobs += [f"truth/{shard}" for shard in self.truth_shards]
        jobs += [f"estimate/{job}" for job in self._estimate_jobs]
        jobs += ["ladder"] if self.open_estimator else []
        jobs += [f"proxy_orders/{shard}" for shard in self.proxy_shards]
        return [f"{self.results}/costs/{job}.json" for job in jobs]

    @property
    def _estimate_jobs(self) -> list[str]:
        return [
            f"{name}/{shard}"
            for name in self.estimators
            for shard in range(self.estimate_shards(name))
        ]

    @property
    def validation(self) -> Config:
        """The section `validation` with the seed of the resampling."""
        return {**self.config["validation"], "seed": self.config["seeds"]["order"]}

    @property
    def orders(self) -> Config:
        """The section `orders`, without orders of the split `fit` where nothing is fitted."""
        return orders_config(self.config["orders"], self.config["estimators"])

    @property
    def measured_predictability(self) -> str | None:
        """A hash of `predictability.json`, which the plan shows; None if there is none yet."""
        path = PREDICTABILITY.path(self.results)
        return sha256_file(path) if path.exists() else None
