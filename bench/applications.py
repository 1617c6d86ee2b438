"""The two applications, measured with the study `presets/full.yaml`, and their page.

python -m bench.applications              # runs missing jobs of the study, writes the page
python -m bench.applications --collect    # only writes the page, from existing results

Its replicates are the searches under cosine, constant and warmup-stable-decay schedules with three
seeds each, under a cosine by both methods. Writes docs/measured/applications.{md,json} and the
figures of the page. After an interruption, run it again: it skips what is complete.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import published_answers
from bench.applications_page import FIGURES, markdown
from bench.studies import Study, run, say
from trainorder.errors import UserError
from trainorder.storage.formats import write_json, write_text

STUDY = Study("full", "full")
OUTPUT, DRAWN = Path("docs/measured/applications"), Path("docs/figures")


def collect(study: Study) -> dict[str, Any]:
    """Return the record behind the page, from the result files of a study.

    Raises:
        UserError: the study is missing, not complete, or has no replicates.

    """
    results = study.read()
    if results.curriculum is None or results.memorization is None or results.replicates is None:
        raise UserError(f"{study.results}: no search, maps or replicates; run {study.preset}.yaml")
    provenance, curriculum = results.validation["provenance"], dict(results.curriculum)
    del curriculum["provenance"]
    forgetting = {
        name: {"units": curve["units"], "half_life": curve["half_life"]}
        for name, curve in results.memorization["forgetting"].items()
    }
    stages = results.costs["stages"]
    return {
        **{key: provenance[key] for key in ("seeds", "versions", "machine", "config")},
        "study": study.name,
        "verdict": results.validation["verdict"],
        "spread": results.validation["spread"]["heldout"]["random"],
        "retraining_seconds": results.costs["retraining_seconds"],
        "job_seconds": sum(stage["wall_seconds"] for stage in stages.values()),
        "curriculum": curriculum,
        "agreement": results.memorization["agreement"],
        "retrained": results.memorization["retrained"],
        "forgetting": forgetting,
        "replicates": dict(results.replicates),
    }


def write(study: Study, record: dict[str, Any]) -> None:
    """Write the page, its numbers and its figures."""
    write_json(OUTPUT.with_suffix(".json"), record)
    write_text(OUTPUT.with_suffix(".md"), markdown(record))
    for name in FIGURES:
        shutil.copyfile(study.results / "figures" / f"{name}.png", DRAWN / f"full-{name}.png")
    published_answers.write()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study and write the page; an error is one line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--collect", action="store_true", help="collect without running")
    parser.add_argument("--cores", type=int, help="jobs at once (default: all cores)")
    chosen = parser.parse_args(arguments)
    try:
        if not chosen.collect:
            say(f"study {STUDY.name}")
            run(STUDY, chosen.cores)
        write(STUDY, collect(STUDY))
    except UserError as error:
        sys.exit(f"error: {error}")
    say(f"{OUTPUT.with_suffix('.md')}")


if __name__ == "__main__":
    main()
