# The settings of the study: what the rules take from its configuration (lib/trainorder/workflow).
import os
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.settings.types import ConfigSettings
from snakemake.utils import update_config

from trainorder.workflow.invocation import Invocation, one_line_errors
from trainorder.workflow.job_resources import keep_freed_memory
from trainorder.workflow.settings import Settings
from trainorder.workflow.make_study import note_results
from trainorder.workflow.source import source_folder


wildcard_constraints:
    path="reference|barycentre",
    shard=r"\d+",


# This workflow can run in another folder, and as a module of another workflow. A module that names
# a repository has no folder on this machine; the installed package has the same files.
SOURCE = Path(str(workflow.current_basedir)).parent
if not (SOURCE / "config.yaml").exists():
    SOURCE = source_folder()


def complete_config():
    """Return the configuration with defaults, and FILE of `--config orders=FILE` (rule `what_if`).

    FILE replaces the section `orders`, so the layers are merged again without it.
    """
    over = dict(workflow.config_settings.config)
    if over.pop("figures", None) is not None:
        config.pop("figures")  # names of figures to draw, no key of the study
    file = over.pop("orders") if isinstance(over.get("orders"), str) else None
    named = workflow.overwrite_configfiles
    over = ConfigSettings(over, named).overwrite_config
    given = dict(config) or over  # a module without `config:` begins with none
    if isinstance(given.get("orders"), str):
        given = {}
        for path in workflow.configfiles:
            update_config(given, load_configfile(path) if path not in named else {})
        update_config(given, over)
    complete = load_configfile(SOURCE / "config.yaml")
    update_config(complete, given)
    return complete, file


keep_freed_memory(os.environ)
os.environ.update(TRAINORDER_SOURCE=str(SOURCE))  # for envs/study.post-deploy.sh
config, orders_file = complete_config()
with one_line_errors():
    settings = Settings.checked(
        config,
        Invocation(
            orders_file=orders_file,
            basedir=SOURCE,
            cores=workflow.resource_settings.cores,
            remote=workflow.remote_exec,
            configfiles=workflow.configfiles,
            figures=workflow.config_settings.config.get("figures"),
        ),
    )
config.update(settings.config)  # for the scripts and the report
note_results(settings.results, os.environ)
RESULTS, KEY = settings.results, settings.keys.study

# Of jobs that can start, these start first: what to expect of estimates is known early.
FIRST = 10
# Then the long jobs that the verdict needs: it is known before the search and the maps.
SECOND = 5
