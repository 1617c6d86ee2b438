"""All that the rules take from the configuration, in one object."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainorder.config.files import check_files
from trainorder.config.loading import load_config
from trainorder.config.sections.window import WindowConfig
from trainorder.config.study_config import parse
from trainorder.curriculum.feasibility import check_feasible
from trainorder.data.domains import check_domains
from trainorder.errors import UserError
from trainorder.evaluation.result_files import CHECKSUMS
from trainorder.orders.user_files import read_orders, read_reference
from trainorder.recording.study_config.completion import completed
from trainorder.training.existing_run.checkpoint_files import checkpoint_files, window_checkpoints
from trainorder.workflow.invocation import Invocation
from trainorder.workflow.keys import check_origin
from trainorder.workflow.resolved_config import resolved_config
from trainorder.workflow.stages.figures import FigureSettings
from trainorder.workflow.stages.fresh import FreshSettings
from trainorder.workflow.stages.input_files import InputFiles
from trainorder.workflow.stages.maps import MapSettings
from trainorder.workflow.stages.resources import ResourceSettings
from trainorder.workflow.stages.study import results_folder
from trainorder.workflow.stages.validation import ValidationSettings


class Settings(
    InputFiles,
    ValidationSettings,
    MapSettings,
    FreshSettings,
    FigureSettings,
    ResourceSettings,
):
    """Paths, shards, keys, resources and parameters of a study, as the rules need them."""

    @classmethod
    def checked(cls, config: Mapping[str, Any], invocation: Invocation) -> "Settings":
        """Check a configuration and the files that it names, and return its settings.

        Raises:
            UserError: a key, a file, or a stored result does not fit.

        """
        for file in invocation.configfiles:  # Snakemake takes the last of duplicate keys
            if Path(file).suffix != ".json":
                load_config(file)
        unpacked = Path(f"results/{config.get('study')}", CHECKSUMS).exists()
        if not unpacked:  # with the keys that a record of the run decides
            config = completed(config)
        parse(config)
        results = results_folder(config)
        if not unpacked:  # the files that a bundle was made from need not be here
            check_files(config)
            check_domains(config)
            check_feasible(config)
            _check_orders(config["orders"]["custom"], config)
        if invocation.orders_file is not None:
            _check_orders(invocation.orders_file, config)
            if unpacked and not Path(results, "store/manifest.json").exists():
                raise UserError(
                    f"{results}: this study was unpacked from an archive, which has no gradient "
                    "store; run the study under another name, then estimate these orders there"
                )
        run_files = [] if unpacked else _run_files(config)
        settings = cls(resolved_config(config, invocation), invocation, run_files)
        check_origin(results, settings.keys)
        return settings


def _check_orders(path: str | None, config: Mapping[str, Any]) -> None:
    if path is not None:
        read_orders(path, WindowConfig(**config["window"]))


def _run_files(config: Mapping[str, Any]) -> list[str]:
    """Check the checkpoints of the existing run and return their files."""
    run, window = config["run"], WindowConfig(**config["window"])
    if not run:
        return []
    read_reference(run.get("order"), window)
    steps = window_checkpoints(run["checkpoints"], window)
    return checkpoint_files(run["checkpoints"], steps)
