"""The resources that jobs request on a cluster: GPU, memory and time."""

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch

from configs import config
from trainorder.config.sections.model import ModelConfig
from trainorder.numerics.memory_budget import VECTORS_HELD
from trainorder.planning.sizes import FLOAT, Sizes
from workflow_tree import ROOT, SMOKE, Tree, work_tree

pytestmark = pytest.mark.slow

SCRIPT = """
import json, sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, ResourceSettings

with SnakemakeApi() as api:
    settings = ConfigSettings(config=json.loads(sys.argv[1]))
    workflow = api.workflow(ResourceSettings(cores=1), settings, snakefile=Path("Snakefile"))
    workflow.dag()
    rules = list(workflow._workflow.rules)

def requested(rule, name, attempt):
    return rule.resources[name].evaluate(None, attempt=attempt).value

records = {
    r.name: [str(r.script), "gpu" in r.resources, r.params.get("key")]
    + [[requested(r, name, attempt) for attempt in (1, 2)] for name in ("mem_mb", "runtime")]
    for r in rules if r.script
}
print(json.dumps(records))
"""
MODEL = ("context.problem", "Study", "plan(")  # a script with one of these loads the model


@dataclass
class Request:
    """A rule: the text of its script, whether it requests a GPU, and the key of its files.

    `megabytes` and `minutes` are its requests at the first and at the second attempt.
    """

    script: str
    gpu: bool
    key: str | None
    megabytes: list
    minutes: list

    @property
    def loads(self):
        """Whether its script loads the model."""
        return any(use in self.script for use in MODEL)


def rules(**changed):
    """Return the rules that have a script, with some keys of the configuration changed."""
    command = [sys.executable, "-c", SCRIPT, json.dumps(changed)]
    process = subprocess.run(
        command, cwd=ROOT, env=Tree(ROOT).environment(), capture_output=True, text=True, check=True
    )
    return {
        name: Request((ROOT / "rules" / script).read_text(), *other)
        for name, (script, *other) in json.loads(process.stdout.splitlines()[-1]).items()
    }


def test_on_a_gpu_exactly_the_jobs_that_load_the_model_request_one():
    all_rules = rules(device="cuda")
    loading = {name for name, rule in all_rules.items() if rule.loads}
    assert {"warm", "truth", "table", "estimate", "proxy_orders", "what_if", "plan"} <= loading
    by_reduced = {"position_maps"}  # in the default study, its maps come from the reduced model
    assert {name for name, rule in all_rules.items() if rule.gpu} == loading - by_reduced


def test_auto_is_cpu_or_cuda_and_these_have_different_study_keys():
    cpu, cuda, auto = (rules(device=device) for device in ("cpu", "cuda", "auto"))
    assert not [name for name, rule in cpu.items() if rule.gpu]
    assert auto == (cuda if torch.cuda.is_available() else cpu)
    assert cpu["truth"].key != cuda["truth"].key
    assert cpu["corpus"].key == cuda["corpus"].key, "the corpus depends on the device"


def test_a_study_on_a_gpu_can_be_planned_without_one(tmp_path):
    plan = work_tree(tmp_path).plan(*SMOKE, "--config", "device=cuda")
    assert {"warm", "truth", "estimate"} <= set(plan.jobs)


def test_on_a_cluster_auto_raises_one_line(tmp_path):
    status, output = work_tree(tmp_path).snakemake(
        "--workflow-profile", "profiles/slurm", *SMOKE, "--config", "device=auto"
    )
    [line] = [line for line in output.splitlines() if line.startswith("error:")]
    assert status == 1
    assert "device: auto cannot be used on a cluster" in line


LARGE = {"hidden_size": 1024, "intermediate_size": 2560, "layers": 14, "heads": 16}


def test_jobs_request_memory_for_their_parameter_vectors_and_more_at_each_attempt():
    small, large, poor = rules(), rules(model=LARGE), rules(model=LARGE, memory_gb=1)
    sizes = Sizes(config(**{f"model__{name}": value for name, value in LARGE.items()}))
    vectors = VECTORS_HELD * FLOAT * sizes.P / 1e6  # megabytes
    for name, rule in small.items():
        more = large[name].megabytes[0] - rule.megabytes[0]
        if rule.loads:
            assert rule.megabytes[0] < 4000, f"{name}: too much for a study this small"
            assert large[name].megabytes[0] >= vectors + 4000, f"{name}: too little for its vectors"
            assert large[name].megabytes[0] - poor[name].megabytes[0] == 3000, name
        elif name not in ("curvature", "position_maps"):  # they hold vectors without a model
            assert more == 0, f"{name} requests memory for a model that it does not load"
        assert rule.megabytes[1] == 2 * rule.megabytes[0], (
            f"{name}: a killed job requests no more memory"
        )
        assert rule.minutes[1] == 2 * rule.minutes[0], (
            f"{name}: a job out of time requests no more time"
        )


def test_jobs_request_memory_for_the_actual_size_of_a_new_model():
    for preset in ("smoke", "paper", "gpu"):
        settings = config(preset)
        model = ModelConfig(**settings["model"])
        assert model.new_parameters(settings["corpus"]["vocabulary"]) == Sizes(settings).P
