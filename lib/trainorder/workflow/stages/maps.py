"""The maps of positions."""

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.memorization import MemorizationConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.memorization.moves import order_count
from trainorder.workflow.stages.study import StudySettings


class MapSettings(StudySettings):
    """The estimator of the maps and the shards of their truth, if the study has maps."""

    @property
    def maps(self) -> EstimatorConfig | None:
        """The estimator of the maps of positions, if the study has maps."""
        memorization = self.config["memorization"]
        return EstimatorConfig.from_name(memorization["estimator"]) if memorization else None

    @property
    def maps_rule(self) -> str | None:
        """The rule of the method that estimates the maps of positions, if the study has maps."""
        return self.maps.descriptor.rule if self.maps else None

    @property
    def maps_predictor(self) -> str | list[str]:
        """The file of the store that predicts the maps; none if they are replayed."""
        if not self.maps or self.maps_rule != "predict":
            return []
        return f"{self.results}/store/{self.maps.path}/reduced.h5"

    @property
    def position_shards(self) -> range:
        """Shards of the true retraining of moved units; each has at least one order."""
        if not self.config["memorization"]:
            return range(0)
        window = WindowConfig(**self.config["window"])
        cells = MemorizationConfig(**self.config["memorization"]).cells(window)
        return range(min(self.config["shards"]["truth"], order_count(cells)))
