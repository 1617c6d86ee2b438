"""What jobs ask a cluster for: a GPU where they compute on one, and memory for their vectors."""

import json
import subprocess
import sys
from dataclasses import dataclass

import torch

from configs import config
from trainorder.config.sections import ModelConfig
from trainorder.numerics.memory_budget import VECTORS_HELD
from trainorder.planning.sizes import FLOAT, Sizes
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

def asked(rule, name, attempt):
    return rule.resources[name].evaluate(None, attempt=attempt).value

found = {
    r.name: [str(r.script), "gpu" in r.resources, r.params.get("key")]
    + [[asked(r, name, attempt) for attempt in (1, 2)] for name in ("mem_mb", "runtime")]
    for r in rules if r.script
}
print(json.dumps(found))
"""
MODEL = ("context.problem", "Study", "plan(")  # a script with one of these loads the model


@dataclass
class Asked:
    """A rule: the text of its script, whether it asks for a GPU, the key of the files it makes.

    And how many megabytes and minutes it asks for, at its first and its second attempt.
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
    """Return what the rules that have a script are, with some keys of the configuration changed."""
    run = [sys.executable, "-c", ASKING, json.dumps(changed)]
    found = subprocess.run(
        run, cwd=ROOT, env=Tree(ROOT).environment(), capture_output=True, text=True, check=True
    )
    return {
        name: Asked((ROOT / "rules" / script).read_text(), *other)
        for name, (script, *other) in json.loads(found.stdout.splitlines()[-1]).items()
    }


def test_a_study_on_a_gpu_asks_for_one_in_every_job_that_loads_the_model_and_in_no_other():
    found = rules(device="cuda")
    loading = {name for name, rule in found.items() if rule.loads}
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


LARGE = {"hidden_size": 1024, "intermediate_size": 2560, "layers": 14, "heads": 16}


def test_jobs_ask_for_what_vectors_of_their_model_may_take_and_for_more_at_each_attempt():
    small, large, poor = rules(), rules(model=LARGE), rules(model=LARGE, memory_gb=1)
    sizes = Sizes(config(**{f"model__{name}": value for name, value in LARGE.items()}))
    vectors = VECTORS_HELD * FLOAT * sizes.P / 1e6  # megabytes
    for name, rule in small.items():
        more = large[name].megabytes[0] - rule.megabytes[0]
        if rule.loads:
            assert rule.megabytes[0] < 4000, f"{name}: more than a study this small may take"
            assert large[name].megabytes[0] >= vectors + 4000, f"{name}: too little for its vectors"
            assert large[name].megabytes[0] - poor[name].megabytes[0] == 3000, name
        elif name not in ("curvature", "position_maps"):  # which hold vectors without a model
            assert more == 0, f"{name} asks for memory of a model that it does not load"
        assert rule.megabytes[1] == 2 * rule.megabytes[0], (
            f"{name}: a killed job comes back as it was"
        )
        assert rule.minutes[1] == 2 * rule.minutes[0], f"{name}: out of time, and again as it was"


def test_a_new_model_has_as_many_parameters_as_its_jobs_ask_memory_for():
    for preset in ("smoke", "paper", "gpu"):
        made = config(preset)
        stated = ModelConfig(**made["model"]).new_parameters(made["corpus"]["vocabulary"])
        assert stated == Sizes(made).P
