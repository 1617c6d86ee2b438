"""Figures from a fresh clone and an archive, without training and without torch."""

import os

import pytest

from trainorder.bundle import unpack
from workflow_tree import SMOKE, work_tree

pytestmark = pytest.mark.study
NO_TORCH = "raise ImportError('torch is not to be had here')\n"


def test_a_fresh_clone_and_the_archive_redraw_every_figure(study, tmp_path, monkeypatch):
    status, output = study.snakemake("bundle", "--cores", "1", *SMOKE)
    assert status == 0, output
    fresh = work_tree(tmp_path / "fresh")
    folder = unpack(study.results / "smoke.tar.gz", fresh.root)
    blocked = tmp_path / "blocked"
    for name in ("torch", "transformers"):
        (blocked / name).mkdir(parents=True)
        (blocked / name / "__init__.py").write_text(NO_TORCH)
    environment = fresh.environment()
    path = os.pathsep.join([str(blocked), environment["PYTHONPATH"]])
    monkeypatch.setattr(fresh, "environment", lambda: {**environment, "PYTHONPATH": path})
    config = str(folder.relative_to(fresh.root) / "config.yaml")
    status, output = fresh.snakemake("figures", "--cores", "1", "--configfile", config)
    assert status == 0, output
    assert "1 of 1 steps (100%) done" in output, f"more than the figures was run: {output}"
    drawn = sorted((study.results / "figures").iterdir())
    assert len(drawn) > 20
    for figure in drawn:
        again = folder / "figures" / figure.name
        assert again.read_bytes() == figure.read_bytes(), f"{figure.name} differs"
