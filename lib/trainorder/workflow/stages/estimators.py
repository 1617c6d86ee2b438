"""The estimators of a study."""

import re
from dataclasses import asdict
from functools import cached_property
from typing import Any

from trainorder.config.estimator_names import SCREENING
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.known_runs import known_run_count, smallest_corrected_size
from trainorder.config.sections.ladder import LadderConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.evaluation.result_files import LADDER
from trainorder.workflow.stages.study import Config, StudySettings

_NOTHING = "(?!)"  # a pattern that matches no text


class EstimatorSettings(StudySettings):
    """The estimators, and which of them rules and jobs need."""

    @cached_property
    def entries(self) -> dict[str, Config]:
        """Entries of the section `estimators` by name."""
        return {EstimatorConfig(**entry).name: entry for entry in self.config["estimators"]}

    @cached_property
    def estimators(self) -> dict[str, EstimatorConfig]:
        """All estimators by name."""
        return {name: EstimatorConfig(**entry) for name, entry in self.entries.items()}

    @cached_property
    def replaying(self) -> list[EstimatorConfig]:
        """Estimators that are not fitted, so they expand about a path."""
        return [e for e in self.estimators.values() if not e.descriptor.fitted]

    def estimator_pattern(self, rule: str) -> str:
        """Return a pattern of the names of the estimators whose outcomes a rule computes."""
        names = [re.escape(e.name) for e in self.replaying if e.descriptor.rule == rule]
        return "|".join(names) or _NOTHING

    def estimate_shards(self, name: str) -> int:
        """Return the number of jobs of an estimator."""
        return self.estimators[name].shards(self.config["shards"]["estimate"])

    @property
    def descriptors(self) -> list[Config]:
        """The descriptors of the methods of the study, for rules that read facts about them."""
        return [asdict(estimator.descriptor) for estimator in self.estimators.values()]

    @property
    def open_estimator(self) -> str | None:
        """The name of the estimator whose size the ladder selects, if there is one."""
        return next((e.name for e in self.replaying if e.size_is_open), None)

    def ladder_file(self, wildcards: Any) -> str | list[str]:
        """Return `ladder.json` for the estimator whose size it selects."""
        return str(LADDER.path(self.results)) if wildcards.estimator == self.open_estimator else []

    @property
    def known_runs(self) -> int:
        """The number of calibration orders whose retraining is recorded as a known run."""
        return known_run_count(self.replaying)

    @property
    def smallest_corrected_size(self) -> int | None:
        """The smallest size that an estimator with known runs tries; None without one."""
        window = WindowConfig(**self.config["window"])
        ladder = LadderConfig(**self.config["ladder"])
        return smallest_corrected_size(self.replaying, window, ladder)

    @property
    def has_explorer(self) -> bool:
        """Whether the study has the reduced model that the explorer shows."""
        return SCREENING in self.estimators
