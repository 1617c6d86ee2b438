"""The maps of positions."""

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.workflow.stages.study import StudySettings


class MapSettings(StudySettings):
    """The estimator of the maps, if the study has maps."""

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
    def maps_path(self) -> str | None:
        """The expansion path of that method."""
        return self.maps.path if self.maps else None
