"""The learning-rate sweep: the held-out loss that the reference order ends at, by rate.

python -m bench.sweep             # the default study and presets/wider.yaml
python -m bench.sweep --only wider

For each rate a small study makes the reference run alone (warm-up training and the window, at that
rate). The rates go by factors of 2 from `START`, on until the best has a worse one on either side;
then by a factor of sqrt 2 on both sides of the best. The configured rate is among them.
"""

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from bench.drawing import save_png
from bench.studies import FOLDER, Study, made, run, say, seeded
from bench.sweep_page import draw, markdown
from trainorder.errors import DivergedError, UserError
from trainorder.storage.formats import read_json, write_json, write_text
from trainorder.storage.sealed_hdf5 import opened
from trainorder.training.meter import Meter
from trainorder.training.problem import LanguageProblem

PRESETS = {"default": "", "wider": "wider"}
OUTPUT, FIGURE = Path("docs/measured/sweep"), Path("docs/figures/sweep.png")
# What a run depends on.
SECTIONS = ("seeds", "threads", "device", "corpus", "model", "optimizer", "window")
SCRIPTS = ("corpus", "warm", "orders", "reference")
START = 1e-3
EXTENSIONS = 4  # factors of 2 to go on by where the best rate is at an end
PATH = "store/reference/path.h5"

Losses = dict[float, dict[str, float] | None]


def rounded(rate: float) -> float:
    """Return `rate` with two digits, as the studies are named."""
    return float(f"{rate:.1e}")


def best(losses: Mapping[float, Mapping[str, float] | None]) -> float:
    """Return the rate of the lowest held-out loss; a run that diverged has none.

    Raises:
        UserError: every run diverged.

    """
    found = {rate: loss["heldout"] for rate, loss in losses.items() if loss is not None}
    if not found:
        raise UserError("sweep: the training diverged at every rate; lower optimizer.learning_rate")
    return min(found, key=lambda rate: found[rate])


def search(configured: float, measure: Callable[[float], dict[str, float] | None]) -> Losses:
    """Return the losses by rate, rising, of the grid and of the `configured` rate.

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
        UserError: the reference run is missing or damaged.

    """
    params = study.job("reference")["params"]
    corpus = str(study.results / "corpus.h5")
    problem = LanguageProblem.load(corpus, Meter(), **params["problem"])
    with opened(study.results / PATH, params["key"], "reference") as file:
        values = problem.evaluate(torch.from_numpy(file["parameters"][-1]))
    return dict(zip(problem.metrics, values.tolist(), strict=True))


def measured(study: Study, cores: int | None) -> dict[str, float] | None:
    """Return the metrics of one rate, made now or kept from before; None where it diverged."""
    kept, key = FOLDER / "sweep" / f"{study.name}.json", study.key(SCRIPTS, SECTIONS)
    if kept.is_file() and (record := read_json(kept))["key"] == key:
        say(f"{study.name}: kept from before")
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
        "made": made(),
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
    """Sweep, and write the files; entries that are not swept anew stay."""
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
