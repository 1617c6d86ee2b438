"""The learning-rate sweep: the final held-out loss of the reference order, by rate.

python -m bench.sweep             # the default study and presets/wider.yaml
python -m bench.sweep --only wider

For each rate a study trains only the warm-up and the reference order. The rates are `START` times
powers of 2, until the best rate has a worse one on both sides; then the best rate times and
divided by sqrt 2. The configured rate is measured too.
"""

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from bench.drawing import save_png
from bench.studies import FOLDER, Study, environment, run, say, seeded
from bench.sweep_page import draw, markdown
from trainorder.errors import DivergedError, UserError
from trainorder.storage.formats import read_json, write_json, write_text
from trainorder.storage.sealed_hdf5 import opened
from trainorder.training.meter import Meter
from trainorder.training.problem import LanguageProblem

PRESETS = {"default": "", "wider": "wider"}
OUTPUT, FIGURE = Path("docs/measured/sweep"), Path("docs/figures/sweep.png")
# The sections of the configuration that the training depends on.
SECTIONS = ("seeds", "threads", "device", "corpus", "model", "optimizer", "window")
SCRIPTS = ("corpus", "warm", "orders", "reference")
START = 1e-3
EXTENSIONS = 4  # further powers of 2 while the best rate is the first or the last one
PATH = "store/reference/path.h5"

Losses = dict[float, dict[str, float] | None]


def rounded(rate: float) -> float:
    """Return `rate` with two digits, as in the names of the studies."""
    return float(f"{rate:.1e}")


def best(losses: Mapping[float, Mapping[str, float] | None]) -> float:
    """Return the rate of the lowest held-out loss; a training that diverged has none.

    Raises:
        UserError: every training diverged.

    """
    heldout = {rate: loss["heldout"] for rate, loss in losses.items() if loss is not None}
    if not heldout:
        raise UserError("sweep: the training diverged at every rate; lower optimizer.learning_rate")
    return min(heldout, key=lambda rate: heldout[rate])


def search(configured: float, measure: Callable[[float], dict[str, float] | None]) -> Losses:
    """Return the losses of the grid and of the `configured` rate, sorted by rate.

    `measure` returns the metrics of one rate, or None where the training diverged.
    """
    losses: Losses = {}

    def take(rate: float) -> None:
        if rounded(rate) not in losses:
            losses[rounded(rate)] = measure(rounded(rate))

    for rate in (START, START / 2, START * 2):
        take(rate)
    for _ in range(EXTENSIONS):
        lowest, highest = min(losses), max(losses)
        if best(losses) not in (lowest, highest):
            break
        take(lowest / 2 if best(losses) == lowest else highest * 2)
    middle = best(losses)
    for factor in (math.sqrt(0.5), math.sqrt(2.0)):
        take(middle * factor)
    take(configured)
    return dict(sorted(losses.items()))


def study_of(preset: str, rate: float) -> Study:
    """Return the study of one rate."""
    label = f"{preset}-" if preset else ""
    layer = {**seeded(0), "optimizer": {"learning_rate": rate}}
    return Study(f"sweep-{label}lr{rate:.1e}", preset, layer)


def final_losses(study: Study) -> dict[str, float]:
    """Return the metrics at the end of the reference order.

    Raises:
        UserError: the reference path is missing or damaged.

    """
    params = study.job("reference")["params"]
    corpus = str(study.results / "corpus.h5")
    problem = LanguageProblem.load(corpus, Meter(), **params["problem"])
    with opened(study.results / PATH, params["key"], "reference") as file:
        values = problem.evaluate(torch.from_numpy(file["parameters"][-1]))
    return dict(zip(problem.metrics, values.tolist(), strict=True))


def measured(study: Study, cores: int | None) -> dict[str, float] | None:
    """Return the metrics of one rate, measured now or cached; None if training diverged."""
    kept, key = FOLDER / "sweep" / f"{study.name}.json", study.key(SCRIPTS, SECTIONS)
    if kept.is_file() and (record := read_json(kept))["key"] == key:
        say(f"{study.name}: cached")
    else:
        say(f"{study.name}: training")
        record = {"key": key, "losses": _trained(study, cores)}
        write_json(kept, record)
    losses: dict[str, float] | None = record["losses"]
    return losses


def _trained(study: Study, cores: int | None) -> dict[str, float] | None:
    try:
        run(study, cores, [PATH])
        return final_losses(study)
    except DivergedError:
        return None
    finally:
        study.remove()


def sweep(preset: str, cores: int | None) -> dict[str, Any]:
    """Return the entry of one preset: the loss of each rate, and the best rate."""
    config = Study("sweep", preset, seeded(0)).config()
    configured = rounded(config["optimizer"]["learning_rate"])
    losses = search(configured, lambda rate: measured(study_of(preset, rate), cores))
    return {
        "preset": f"presets/{preset}.yaml" if preset else "config.yaml",
        "made": environment(),
        "seeds": config["seeds"],
        "config": {name: config[name] for name in SECTIONS},
        "losses": [
            {"learning_rate": rate, **({"diverged": True} if loss is None else loss)}
            for rate, loss in losses.items()
        ],
        "best": best(losses),
        "configured": configured,
        "ratio": configured / best(losses),
    }


def write(record: Mapping[str, Any]) -> None:
    """Write the files of the sweep."""
    write_json(OUTPUT.with_suffix(".json"), record)
    write_text(OUTPUT.with_suffix(".md"), markdown(record))
    save_png(lambda: draw(record), FIGURE)


def main(arguments: Sequence[str] | None = None) -> None:
    """Sweep and write the files; entries of other presets stay."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--only", choices=sorted(PRESETS), help="sweep one of the two alone")
    parser.add_argument("--cores", type=int, help="jobs at once (default: all cores)")
    chosen = parser.parse_args(arguments)
    names = [chosen.only] if chosen.only else list(PRESETS)
    try:
        file = OUTPUT.with_suffix(".json")
        studies = read_json(file)["studies"] if file.is_file() else {}
        for name in names:
            studies[name] = sweep(PRESETS[name], chosen.cores)
            ordered = {key: studies[key] for key in PRESETS if key in studies}
            write({"studies": ordered})
            say(f"{name}: best rate {studies[name]['best']:.1e}")
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
