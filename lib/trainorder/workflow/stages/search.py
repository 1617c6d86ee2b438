"""The search for orders, and the studies that repeat it."""

from functools import cached_property

from trainorder.config.estimator_names import SEARCH_PATH
from trainorder.config.sections.curriculum import CANDIDATE_SHARDS, GLOBAL
from trainorder.config.sections.estimator import (
    EstimatorConfig,
    is_step_estimator,
    search_estimators,
)
from trainorder.workflow.replicate_config import replicates
from trainorder.workflow.stages.estimators import EstimatorSettings
from trainorder.workflow.stages.study import Config, results_folder


class SearchSettings(EstimatorSettings):
    """What the rules of the search need."""

    @property
    def search_estimators(self) -> tuple[str, str]:
        """The names of the estimators that score the orders of a search, and the best of them."""
        return search_estimators(self.replaying)

    @property
    def global_search(self) -> Config | None:
        """The section `curriculum` without what only later jobs read."""
        curriculum = self.config["curriculum"]
        later = ("method", "retrainings", "fresh")
        return curriculum and {k: v for k, v in curriculum.items() if k not in later}

    @property
    def may_search_by_steps(self) -> bool:
        """Whether the study has a job that may search by steps."""
        curriculum = self.config["curriculum"]
        return bool(curriculum) and curriculum["method"] != GLOBAL

    @property
    def step_estimator(self) -> str | None:
        """The name of the estimator whose known runs a search by steps reads, if it may be one."""
        names = [e.name for e in self.replaying if is_step_estimator(e)]
        return names[0] if self.may_search_by_steps else None

    @property
    def confirming(self) -> list[EstimatorConfig]:
        """The estimator that scores the best orders; none if the study does not search."""
        return [e for e in self.replaying if e.name == self.search_estimators[1]]

    @property
    def search_path(self) -> str:
        """The expansion path of the search for orders."""
        return SEARCH_PATH

    @property
    def candidate_shards(self) -> range:
        """Shards of the true retraining of searched orders."""
        return range(CANDIDATE_SHARDS)

    @cached_property
    def replicates(self) -> list[Config]:
        """Configurations of the studies that repeat the search for orders."""
        return replicates(self.config)

    @property
    def replicated(self) -> list[str]:
        """Results of this study and of its replicates, by folder."""
        return [self.results, *map(results_folder, self.replicates)]
