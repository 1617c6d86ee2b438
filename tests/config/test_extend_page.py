"""docs/extend.md: its new estimator works in a copy of the package, everywhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/extend.md").read_text(encoding="utf-8")

PROGRAM = """
import sys
from pathlib import Path

import torch

from problems import expansion, ignore, language_problem, optimizer_config, torch_states, warm_state
from trainorder.config.estimator_names import method_of
from trainorder.config.loading import load_config
from trainorder.config.reference import configuration_page, schema
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.study_config import parse
from trainorder.estimators.build_estimator import build_estimator
from trainorder.evaluation.costs import precompute_stages
from trainorder.planning.sizes import Sizes
from trainorder.planning.stages import stages

config = load_config("config.yaml", sys.argv[1])
new, tailed = parse(config).estimators[1:]
assert [new.name, tailed.name] == ["shrunk@barycentre", "shrunk-tail4@barycentre"]
assert "shrunk" in schema()["properties"]["estimators"]["items"]["properties"]["method"]["enum"]
assert "| `shrunk` |" in configuration_page()
assert method_of(tailed.name).rule == "estimate"

planned = {stage.name: stage for stage in stages(Sizes(config))}
assert planned["estimate/shrunk@barycentre"].work == planned["estimate/order0@barycentre"].work
assert planned["estimate/shrunk-tail4@barycentre"].counts["gradients"] > 0
assert "barycentre" in precompute_stages(new)

reference, other = [[0, 3], [1, 4], [2, 5]], [[5, 2], [0, 4], [1, 3]]
problem, settings = language_problem(), optimizer_config()
warm = warm_state(problem, problem.model.parameters(), settings)
states = torch_states(problem, warm, reference, settings)
with expansion(problem, states, settings, Path(sys.argv[2])) as about:
    ends = {
        method: build_estimator(EstimatorConfig(method=method, path="reference"), about).replay(
            torch.tensor([reference, other]), ignore
        )
        for method in ("order0", "shrunk")
    }
spread = {method: (end[0] - end[1]).norm() for method, end in ends.items()}
assert 0 < spread["shrunk"] < spread["order0"], spread
"""


def code_block(name):
    """Return the code block of the page that begins with the comment `# name`."""
    [code] = re.findall(rf"```\w+\n# {re.escape(name)}\n(.*?)```", PAGE, re.DOTALL)
    return code


@pytest.fixture
def package(tmp_path):
    """Return the folder of a copy of the package with the file and the descriptor of the page."""
    package = tmp_path / "lib/trainorder"
    shutil.copytree(ROOT / "lib/trainorder", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "estimators/shrunk.py").write_text(code_block("lib/trainorder/estimators/shrunk.py"))
    methods = package / "config/methods.py"
    before, after = methods.read_text().split("_ALL = (\n", 1)
    descriptor = code_block("lib/trainorder/config/methods.py")
    methods.write_text(f"{before}_ALL = (\n{descriptor}{after}")
    return package


@pytest.mark.slow
def test_the_estimator_of_the_page_appears_everywhere(package, tmp_path):
    (tmp_path / "my_study.yaml").write_text(code_block("my_study.yaml"))
    paths = os.pathsep.join([str(package.parent), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "my_study.yaml", tmp_path],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
