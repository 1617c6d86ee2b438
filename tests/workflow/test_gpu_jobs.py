"""Which jobs ask for a GPU: those that compute on one, and only where the study does."""

import json
import subprocess
import sys
from dataclasses import dataclass

import torch

from workflow_tree import ROOT, SMOKE, Tree, work_tree

ASKING = """
import json, sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, ResourceSettings

with SnakemakeApi() as api:
    settings = ConfigSettings(config=json.loads(sys.argv[1]))
    made = api.workflow(ResourceSettings(cores=1), settings, snakefile=Path("Snakefile"))
    made.dag()
    rules = list(made._workflow.rules)
print(
    json.dumps(
        {r.name: [str(r.script), "gpu" in r.resources, r.params.get("key")] for r in rules}
    )
)
"""
MODEL = ("LanguageProblem", "Study", "plan(")  # what loads the model, in a script


@dataclass
class Asked:
    """A rule: the text of its script, whether it asks for a GPU, the key of the files it makes."""

    script: str
    gpu: bool
    key: str | None


def rules(**config):
    """Return what the rules that have a script are, with some keys of the configuration changed."""
    run = [sys.executable, "-c", ASKING, json.dumps(config)]
    found = subprocess.run(
        run, cwd=ROOT, env=Tree(ROOT).environment(), capture_output=True, text=True, check=True
    )
    return {
        name: Asked((ROOT / "rules" / script).read_text(), gpu, key)
        for name, (script, gpu, key) in json.loads(found.stdout.splitlines()[-1]).items()
        if script != "None"
    }


def test_a_study_on_a_gpu_asks_for_one_in_every_job_that_loads_the_model_and_in_no_other():
    found = rules(device="cuda")
    loading = {name for name, rule in found.items() if any(use in rule.script for use in MODEL)}
    assert {"warm", "truth", "table", "estimate", "proxy_orders", "what_if", "plan"} <= loading
    by_reduced = {"position_maps"}  # of the default study: its maps are made without the model
    assert {name for name, rule in found.items() if rule.gpu} == loading - by_reduced


def test_auto_is_one_of_the_two_and_the_files_of_a_gpu_are_of_another_study():
    host, there, found = (rules(device=device) for device in ("cpu", "cuda", "auto"))
    assert not [name for name, rule in host.items() if rule.gpu]
    assert found == (there if torch.cuda.is_available() else host)
    assert host["truth"].key != there["truth"].key
    assert host["corpus"].key == there["corpus"].key, "the text depends on the device"


def test_a_study_on_a_gpu_can_be_planned_where_there_is_none(tmp_path):
    plan = work_tree(tmp_path).plan(*SMOKE, "--config", "device=cuda")
    assert {"warm", "truth", "estimate"} <= set(plan.jobs)


def test_on_a_cluster_auto_is_refused_in_one_line(tmp_path):
    status, output = work_tree(tmp_path).snakemake(
        "--workflow-profile", "profiles/slurm", *SMOKE, "--config", "device=auto"
    )
    [line] = [line for line in output.splitlines() if line.startswith("error:")]
    assert status == 1
    assert "device: auto: on a cluster" in line
