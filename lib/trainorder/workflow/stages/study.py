"""The study: its folders, keys and code."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.errors import UserError
from trainorder.storage.provenance import digest
from trainorder.workflow.code_hash import code_hash
from trainorder.workflow.invocation import Invocation
from trainorder.workflow.keys import StudyKeys

Config = dict[str, Any]


@dataclass(frozen=True)
class StudySettings:
    """The folders, keys and code of a study.

    Attributes:
        config: the checked and completed configuration.
        invocation: how Snakemake was started.
        run_files: files of the existing run's checkpoints in the window; none without a run.

    """

    config: Config
    invocation: Invocation
    run_files: list[str]

    @property
    def results(self) -> str:
        """The folder of the study's results, relative to the working directory."""
        return results_folder(self.config)

    @property
    def work(self) -> str:
        """The folder of trainer states that a killed job resumes from."""
        return f"{self.results}/.work"

    def check_writable(self) -> None:
        """Check that jobs can write to the folders of results, as Snakemake's message is unclear.

        Raises:
            UserError: a folder is read-only.

        """
        results = Path(self.results)
        top = next(path for path in (results, *results.parents) if path.exists())
        for folder in (top, *results.rglob("*/")):
            if not os.access(folder, os.W_OK | os.X_OK):
                raise UserError(f"{folder}: cannot be written; make it writable")

    @cached_property
    def keys(self) -> StudyKeys:
        """The keys of stored files."""
        return StudyKeys.of(self.config)

    def code(self, script: str, *estimators: EstimatorConfig) -> str:
        """Return a hash of a script and of the library modules it imports, so that edits rerun it.

        Args:
            script: a file of the folder `scripts`.
            estimators: the estimators that the script imports when it runs. Only their classes and
                descriptors count.

        """
        names = [estimator.descriptor.implementation for estimator in estimators]
        script_hash = code_hash(self.invocation.basedir / "scripts" / script, *names)
        if not estimators:
            return script_hash
        return digest(script_hash, [asdict(estimator.descriptor) for estimator in estimators])


def results_folder(config: Mapping[str, Any]) -> str:
    """Return the folder of the results of a configuration."""
    return f"results/{config['study']}"
