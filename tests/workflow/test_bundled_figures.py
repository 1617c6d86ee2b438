"""Figures from a fresh clone and an archive, without training and without torch."""

import json
import os

import pytest
import yaml

from trainorder.config.loading import load_config
from trainorder.workflow.bundle import unpack, write_bundle
from workflow_tree import SMOKE, work_tree

pytestmark = pytest.mark.study
NO_TORCH = "raise ImportError('this test blocks torch')\n"


def test_a_fresh_clone_and_the_archive_redraw_every_figure(study, tmp_path, monkeypatch):
    status, output = study.snakemake("bundle", "--cores", "1", *SMOKE)
    assert status == 0, output
    fresh = work_tree(tmp_path / "fresh")
    folder = unpack(study.results / "smoke.tar.gz", fresh.root)
    for script in (fresh.root / "scripts").glob("*.py"):
        script.touch()  # newer than the results, as in a clone of today and an older archive
    blocked = tmp_path / "blocked"
    for name in ("torch", "transformers"):
        (blocked / name).mkdir(parents=True)
        (blocked / name / "__init__.py").write_text(NO_TORCH)
    environment = fresh.environment()
    path = os.pathsep.join([str(blocked), environment["PYTHONPATH"]])
    monkeypatch.setattr(fresh, "environment", lambda: {**environment, "PYTHONPATH": path})
    config = str(folder.relative_to(fresh.root) / "config.yaml")
    target = ("report_page", "--cores", "1", "--configfile", config)
    status, output = fresh.snakemake(*target, forks=None)
    assert status == 0, output
    assert "2 of 2 steps (100%) done" in output, f"more jobs than figures and report ran: {output}"
    assert (folder / "report.html").read_bytes() == (study.results / "report.html").read_bytes()
    drawn = sorted((study.results / "figures").iterdir())
    assert len(drawn) > 20
    for figure in drawn:
        again = folder / "figures" / figure.name
        assert again.read_bytes() == figure.read_bytes(), f"{figure.name} differs"


def use_own_text(config):
    config["corpus"].update(source="files", files=["texts/mine.txt"])


def use_own_model_and_orders(config):
    config["model"]["source"] = "models/mine"
    config["orders"]["custom"] = "my-orders.json"


def use_an_existing_run(config):
    config["corpus"].update(source="tokens", files=["run/tokens.safetensors"])
    config["run"] = {"checkpoints": "run", "order": "run/order.json"}
    config["window"]["poisoned"] = 0


@pytest.mark.parametrize("use_own", [use_own_text, use_own_model_and_orders, use_an_existing_run])
def test_figures_of_an_archive_need_no_input_file_of_the_study(finished, tmp_path, use_own):
    write_bundle(finished.results, tmp_path / "smoke.tar.gz")
    fresh = work_tree(tmp_path / "fresh")
    file = unpack(tmp_path / "smoke.tar.gz", fresh.root) / "config.yaml"
    config = load_config(file)
    config["estimators"] = [e for e in config["estimators"] if e["method"] != "proxy"]
    use_own(config)
    file.write_text(yaml.safe_dump(config))
    given = ("--configfile", str(file.relative_to(fresh.root)))
    assert fresh.plan("figures", *given).jobs == {"figures": 1}, (
        "the figures need more than the archive"
    )
    units = load_config(file)["window"]["units"]
    order = {"name": "backwards", "schedule": list(reversed(range(units)))}
    (fresh.root / "orders.json").write_text(json.dumps(order))
    status, output = fresh.snakemake("what_if", "-n", *given, "--config", "orders=orders.json")
    assert status != 0
    assert "error: results/smoke: this study was unpacked from an archive" in output
