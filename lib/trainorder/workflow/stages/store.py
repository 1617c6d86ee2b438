"""The store: expansion paths, tables, known runs and curvature."""

from collections.abc import Callable
from typing import Any

from trainorder.config.methods import Method
from trainorder.config.sections.curvature import CurvatureConfig
from trainorder.config.sections.known_runs import residual_sizes
from trainorder.config.sections.ladder import LadderConfig
from trainorder.config.sections.orders import OrdersConfig, orders_config
from trainorder.config.sections.window import WindowConfig
from trainorder.evaluation.costs import stages_before_probing
from trainorder.evaluation.verdict import MIN_CALIBRATION
from trainorder.workflow.stages.estimators import EstimatorSettings


class StoreSettings(EstimatorSettings):
    """The files and shards of the store, and what its rules read."""

    def paths_read(self, kind: str) -> list[str]:
        """Return the expansion paths for which an estimator needs files of a kind in the store."""
        needs: dict[str, Callable[[Method], bool]] = {
            "path": lambda method: method.takes_path,
            "table": lambda method: method.uses_table,
            "residuals": lambda method: method.needs_run,
            "curvature": lambda method: method.uses_curvature,
            "reduced": lambda method: "reduced" in method.reads,
            "effects": lambda method: "effects" in method.reads,
        }
        return sorted({e.path for e in self.replaying if needs[kind](e.descriptor)})

    @property
    def expansion_paths(self) -> list[str]:
        """Expansion paths in the store. All orders are compared with the reference path."""
        return sorted({"reference", *self.paths_read("path")})

    @property
    def table_paths(self) -> list[str]:
        """Expansion paths with a gradient table; rule `barycentre` always makes its table."""
        return sorted({*self.paths_read("table"), *({"barycentre"} & {*self.paths_read("path")})})

    @property
    def residual_sizes(self) -> list[int]:
        """Sizes of the subsamples whose residuals estimators read."""
        window = WindowConfig(**self.config["window"])
        ladder = LadderConfig(**self.config["ladder"])
        return residual_sizes(self.replaying, window, ladder)

    @property
    def known_run_files(self) -> list[str]:
        """The files of the recorded runs, one for each shard of truth."""
        shards = self.truth_shards if self.known_runs else []
        return [f"{self.results}/store/reference/known_runs-{shard}.h5" for shard in shards]

    @property
    def recorded_subsamples(self) -> str | list[str]:
        """The file of the subsamples that the recorded runs share with the reference run."""
        return f"{self.results}/store/reference/residuals.h5" if self.known_runs else []

    @property
    def has_stores(self) -> bool:
        """Whether stores are compared: they need the gradient table of the reference path."""
        return "reference" in self.table_paths

    @property
    def table_shards(self) -> range:
        """Shards of the gradient table along the reference path."""
        return range(self.config["shards"]["table"])

    @property
    def unit_shards(self) -> range:
        """Shards of the units' own curvature."""
        return range(self.config["shards"]["curvature"])

    @property
    def truth_shards(self) -> range:
        """Shards of true retraining."""
        return range(self.config["shards"]["truth"])

    @property
    def proxy_shards(self) -> range:
        """Shards of the retraining of the proxy; each has at least one order."""
        orders = OrdersConfig(**orders_config(self.config["orders"], self.config["estimators"]))
        proxy = self.estimators.get("proxy")
        return range(proxy.retraining_shards(len(self.truth_shards), orders.counts) if proxy else 0)

    def tables(self, path: str) -> list[str]:
        """Return the files of a path's gradient table."""
        shards = self.table_shards if path == "reference" else [0]
        return [f"{self.results}/store/{path}/table-{shard}.h5" for shard in shards]

    def costs_before_probing(self, wildcards: Any) -> list[str]:
        """Return the costs of the stages before a path is probed, which an open rank allows for."""
        if not self._rank_is_open:
            return []
        jobs = [job for name in stages_before_probing(wildcards.path) for job in self._jobs(name)]
        return [f"{self.results}/costs/{job}.json" for job in jobs]

    @property
    def truth_of_levels(self) -> list[str]:
        """The truth that ranks are tried on; none if the rank is given, or with too few orders."""
        if not self._rank_is_open or self.config["orders"]["calibration"] < MIN_CALIBRATION:
            return []
        return [f"{self.results}/truth/{shard}.h5" for shard in self.truth_shards]

    @property
    def _rank_is_open(self) -> bool:
        return CurvatureConfig(**self.config["curvature"]).rank_is_open

    def reference_path(self, wildcards: Any) -> str | list[str]:
        """Return the path of an existing run for the shard that holds the order `reference`."""
        first = bool(self.run_files) and int(wildcards.shard) == 0
        return f"{self.results}/store/reference/path.h5" if first else []

    @property
    def reference_anchors(self) -> int | None:
        """Number of anchors along the reference path; None if every step is an anchor.

        `auto` means every step here, because the published method needs neighbouring steps.
        """
        anchors = self.config["expansion"]["anchors"]
        return anchors if isinstance(anchors, int) else None

    def predictor(self, wildcards: Any) -> str:
        """Return the file of the store that an estimator of rule `predict` reads."""
        estimator = self.estimators[wildcards.estimator]
        [kind] = estimator.descriptor.reads
        return f"{self.results}/store/{estimator.path}/{kind}.h5"

    def consumed(self, wildcards: Any) -> str:
        """Return the file of what the steps of a path consume: the orders or the clusters."""
        of_run = wildcards.path == "reference"
        return f"{self.results}/{'orders.json' if of_run else 'store/clusters.h5'}"

    def _jobs(self, stage: str) -> list[str]:
        """Return the names of the jobs of a stage, as under `costs/`."""
        sharded = {"table": self.table_shards, "unit_curvature": self.unit_shards}
        shards = sharded.get(stage.split("/")[0])
        return [stage] if shards is None else [f"{stage}/{shard}" for shard in shards]
