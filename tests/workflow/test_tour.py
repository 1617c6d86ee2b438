"""All cells of the notebook run on the smoke study."""

import nbformat
import pytest
from nbclient import NotebookClient

from workflow_tree import ROOT

pytestmark = pytest.mark.study


def test_the_tour_runs_and_draws_its_map(finished, monkeypatch):
    monkeypatch.setenv("TRAINORDER_STUDY", str(finished.results))
    notebook = nbformat.read(ROOT / "docs/tour.ipynb", as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": ROOT / "docs"}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs), "no map was drawn"
    text = "".join(output.get("text", "") for output in outputs)
    for part in ("heldout/code ", "retrained", "local search"):
        assert part in text, f"the tour does not show {part!r}"
