"""A project: a folder with a configuration, a Snakefile that uses the workflow, and a profile."""

import os
from pathlib import Path

import yaml

from trainorder.config.loading import load_config
from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.data.recorded_corpus import read_recorded_corpus
from trainorder.errors import UserError
from trainorder.recording.study_config.completion import completed
from trainorder.training.passes import products
from trainorder.workflow.source import SNAKEFILE, source_folder

CONFIG, PROFILE = "config.yaml", "profiles/default/config.yaml"
_LONG_EVALUATION = 0.25  # trainings of the window, of one order

_SNAKEFILE = """\
# The workflow of trainorder, wherever it is installed. Rules of your own can follow below.
from trainorder.workflow.source import source_folder


configfile: "config.yaml"


module trainorder:
    snakefile:
        str(source_folder() / "Snakefile")
    config:
        config


use rule * from trainorder
"""
_CONFIG = """\
# The study of this folder: only the keys that differ from the defaults, which are in config.yaml of
# the folder that `trainorder --source` prints. All keys are described in
# https://github.com/trainorder/trainorder/blob/main/docs/configuration.md
study: mine                     # results go to results/mine/
"""
_RECORDING = """
# The recorded run is the reference of the study. If the run clipped gradients, and the record comes
# from an import, add its norm: `optimizer: {gradient_clip: 1.0}`. A shorter study gives the verdict
# of one estimator only; for it, remove the `#` before these keys:
# estimators: [{method: constant, path: reference}, {method: corrected, path: reference, runs: 24}]
# curriculum: null
# memorization: null
"""


def write_project(folder: Path, recording: str | None = None) -> list[str]:
    """Write a new project; return a line for each file, and those that say what the record has.

    Args:
        folder: of the project; it is created.
        recording: folder of the record of a run, which the study has as its reference. The
            configuration names it relative to `folder`.

    Raises:
        UserError: a file exists already or cannot be written, or no study can use the record.

    """
    source = source_folder()
    known = [] if recording is None else _checked(source, recording)
    contents = {
        folder / SNAKEFILE: _SNAKEFILE,
        folder / CONFIG: _config(folder, recording),
        folder / PROFILE: (source / PROFILE).read_text(encoding="utf-8"),
    }
    for path in contents:
        if path.exists():
            raise UserError(f"{path}: exists already; give another folder, or remove this file")
    for path, content in contents.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    return [*known, *(f"wrote {path}" for path in contents)]


def _config(folder: Path, recording: str | None) -> str:
    if recording is None:
        return _CONFIG
    record = os.path.relpath(recording, folder)
    return _CONFIG + _RECORDING + yaml.safe_dump({"run": {"recording": record}}, allow_unicode=True)


def _checked(source: Path, recording: str) -> list[str]:
    """Return what a record has, after a check that a study can use its settings and sequences."""
    config = completed({**load_config(source / CONFIG), "run": {"recording": recording}})
    corpus, window, clip = config["corpus"], config["window"], config["optimizer"]["gradient_clip"]
    read, _ = read_recorded_corpus(CorpusConfig(**corpus), WindowConfig(**window))
    start, steps = window["warmup_steps"], window["units"] // window["units_per_step"]
    clipped = "no gradient clipping" if clip is None else f"gradients clipped to {clip:g}"
    line = (
        f"{recording}: updates {start} to {start + steps}, {window['units']} units of "
        f"{window['unit_size']} sequences of {corpus['sequence_length']} tokens, "
        f"{corpus['heldout_sequences']} held-out sequences per domain, {clipped}"
    )
    heldout = len(read.domains) * corpus["heldout_sequences"]
    return [line, *_long_evaluation(recording, heldout, window["units"] * window["unit_size"])]


def _long_evaluation(recording: str, heldout: int, trained: int) -> list[str]:
    """Return a line if evaluating an order takes long, beside a training of the window.

    Args:
        recording: folder of the record.
        heldout: number of its held-out sequences.
        trained: number of sequences in the window.

    """
    share = products({"losses": heldout}) / products({"gradients": trained})
    if share <= _LONG_EVALUATION:
        return []
    return [
        f"{recording}: evaluating an order on {heldout} held-out sequences costs {share:.2f} of "
        f"training it, and 256 are enough; trainorder.recording.write_heldout({recording!r}, "
        "SEQUENCES) replaces them"
    ]
