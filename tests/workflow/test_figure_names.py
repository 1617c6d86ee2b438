"""Names of figures on the command line change no configuration of the study."""

import pytest

from workflow_tree import ROOT, Tree

pytestmark = pytest.mark.slow
SHOWN = """
include: "{root}/rules/common.smk"
print("KEYS:", *sorted(config))
print("FIGURES:", settings.redrawn_figures)

rule all:
"""


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "Snakefile").write_text(SHOWN.format(root=ROOT))
    (tmp_path / "lib").symlink_to(ROOT / "lib")
    return Tree(tmp_path)


def test_named_figures_are_no_key_of_the_study(tree):
    plain = tree.snakemake("-n")
    named = tree.snakemake("-n", "--config", "figures=[overview,order_lds]")
    assert plain[0] == named[0] == 0, named[1]
    [keys] = [line for line in plain[1].splitlines() if line.startswith("KEYS:")]
    assert keys in named[1], "jobs that record the configuration would run again"
    assert "FIGURES: None" in plain[1]
    assert "FIGURES: ['overview', 'order_lds']" in named[1]


def test_figures_in_a_configuration_file_are_an_unknown_key(tree):
    (tree.root / "mine.yaml").write_text("figures: [overview]")
    status, output = tree.snakemake("-n", "--configfile", "mine.yaml")
    assert status != 0
    assert "error: config: figures" in output


def test_an_unknown_figure_is_one_line_with_the_names(tree):
    status, output = tree.snakemake("-n", "--config", "figures=magic")
    assert status != 0
    assert "Traceback" not in output
    [line] = [line for line in output.splitlines() if "magic" in line]
    assert "'magic' is unknown; choose from overview, " in line
