"""Draws the rules of the default study: python docs/rulegraph.py (needs Graphviz)."""

import re
import subprocess
from pathlib import Path

TOP = Path(__file__).parents[1]
UNFINISHED = "rulegraph"  # the name of a study without results, so all rules would run
LOOK = ["-Grankdir=LR", "-Gnodesep=0.12", "-Granksep=0.3", "-Ecolor=gray60", "-Epenwidth=1.2"]


def rulegraph() -> str:
    """Return Snakemake's graph of all rules, without the target `all`."""
    command = ["snakemake", "--rulegraph", "--config", f"study={UNFINISHED}"]
    graph = subprocess.run(command, cwd=TOP, check=True, capture_output=True, text=True).stdout
    lines = [line for line in graph.splitlines() if 'label = "all"' not in line]
    lines = [line for line in lines if not line.endswith("-> 0")]  # `all` is node 0
    plain = re.sub(r'color = "[^"]+"', 'color = "#31688e"', "\n".join(lines))
    return plain.replace("penwidth=2", "penwidth=1.2")


def main() -> None:
    """Write docs/figures/rulegraph.svg, without the edges that longer paths imply."""
    reduced = subprocess.run(
        ["tred"], input=rulegraph(), check=True, capture_output=True, text=True
    )
    drawn = subprocess.run(
        ["dot", "-Tsvg", *LOOK], input=reduced.stdout, check=True, capture_output=True, text=True
    )
    target = TOP / "docs" / "figures" / "rulegraph.svg"
    target.write_text(drawn.stdout, encoding="utf-8")


if __name__ == "__main__":
    main()
