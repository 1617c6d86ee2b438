# The settings of the study: what the rules take from its configuration (lib/trainorder/workflow).
import os
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.settings.types import ConfigSettings
from snakemake.utils import update_config

from trainorder.workflow.resources import keep_freed_memory
from trainorder.workflow.settings import Invocation, Settings, one_line_errors
from trainorder.workflow.make_study import note_results


wildcard_constraints:
    path="reference|barycentre",
    shard=r"\d+",


def take_orders_file():
    """Remove FILE of `--config orders=FILE` (rule `what_if`) from the configuration and return it.

    FILE replaced the section `orders`, so the layers are merged again without it. They keep the
    order of Snakemake, because it compares params as text, where the order of keys counts.
    """
    if not isinstance(config.get("orders"), str):
        return None
    given = dict(workflow.config_settings.config)
    file = given.pop("orders", None)
    over = ConfigSettings(given, workflow.overwrite_configfiles).overwrite_config
    config.clear()
    for layer in (over, load_configfile("config.yaml"), over):
        update_config(config, layer)
    return file


keep_freed_memory(os.environ)
orders_file = take_orders_file()
with one_line_errors():
    settings = Settings.checked(
        config,
        Invocation(
            orders_file=orders_file,
            basedir=Path(workflow.basedir),
            cores=workflow.resource_settings.cores,
            remote=workflow.remote_exec,
            configfiles=workflow.configfiles,
        ),
    )
config.update(settings.config)  # for the scripts and the report
note_results(settings.results, os.environ)
RESULTS, KEY = settings.results, settings.keys.study
