"""The corpus of a study of a record: its units are the micro-batches of the window."""

from pathlib import Path
from typing import Any

import numpy as np

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.data.corpus import LABELS, MIXED, Corpus
from trainorder.data.tokens import Labels
from trainorder.errors import UserError
from trainorder.recording.record.heldout import heldout_path, read_heldout
from trainorder.recording.record.layout import step_path
from trainorder.recording.record.settings import read_settings, settings_path
from trainorder.recording.record.steps import read_step


def is_record(config: CorpusConfig) -> bool:
    """Return whether a corpus of tokens is that of a record: its file is the record's settings."""
    path = Path(config.files[0])
    return path == settings_path(path.parent)


def record_files(config: CorpusConfig, window: WindowConfig) -> list[str]:
    """Return the files of a record that the corpus of a window is read from."""
    folder = _folder(config)
    steps = range(window.warmup_steps, window.horizon)
    files = [settings_path(folder), heldout_path(folder), *(step_path(folder, n) for n in steps)]
    return [str(file) for file in files]


def recorded_domains(config: CorpusConfig) -> list[str]:
    """Return the domains of the held-out sequences of a record.

    Raises:
        UserError: the record has no held-out sequences, or it is damaged.

    """
    domains = list(read_heldout(_folder(config)))
    for label in LABELS:
        if label in domains:
            raise UserError(
                f"{heldout_path(_folder(config))}: `{label}` is the label of {label} units; rename "
                "this domain"
            )
    return domains


def recorded_labels(config: CorpusConfig, window: WindowConfig) -> Labels:
    """Return the labels of the corpus of a record.

    Units belong to the domain of the held-out sequences if it is the only one. Otherwise they are
    mixed, because a record does not contain their domains.

    Raises:
        UserError: the record has no held-out sequences, or it is damaged.

    """
    domains = recorded_domains(config)
    label = domains[0] if len(domains) == 1 else MIXED
    return Labels(domains, [label] * window.units, read_settings(_folder(config)).vocabulary)


def read_recorded_corpus(
    config: CorpusConfig, window: WindowConfig
) -> tuple[Corpus, dict[str, Any]]:
    """Return the corpus of a record and its summary as JSON values.

    Args:
        config: the section `corpus`, whose only file is the settings of the record.
        window: the section `window`, with the sizes of the record. Units are numbered as the run
            consumed them.

    Raises:
        UserError: a file is missing or damaged.

    """
    folder, labels = _folder(config), recorded_labels(config, window)
    steps = [read_step(folder, n) for n in range(window.warmup_steps, window.horizon)]
    units = np.stack([batch for step in steps for batch in step.batches])
    corpus = Corpus(
        domains=labels.domains,
        vocabulary=labels.vocabulary,
        warmup=np.zeros((0, units.shape[-1]), np.int32),
        units=units,
        unit_domains=labels.unit_domains,
        heldout=np.stack(list(read_heldout(folder).values())),
    )
    _check_targets(folder, corpus)
    if all(step.loss_scale is not None for step in steps):
        _check_weights(folder, corpus)
    return corpus, _summary(folder, corpus)


def _folder(config: CorpusConfig) -> Path:
    return Path(config.files[0]).parent


def _check_targets(folder: Path, corpus: Corpus) -> None:
    """Check that every sequence has a loss."""
    for name, tokens in (("a unit", corpus.units), ("the held-out data", corpus.heldout)):
        if not (tokens[..., 1:] >= 0).any(axis=-1).all():
            raise UserError(
                f"{folder}: a sequence of {name} has no target, so it has no loss; choose a part "
                "of the run without it (run.start, run.steps), or other held-out sequences"
            )


def _check_weights(folder: Path, corpus: Corpus) -> None:
    """Check that a mean over tokens, which the Trainer takes, is the mean over sequences."""
    targets = (corpus.units[..., 1:] >= 0).sum(axis=-1)
    if targets.min() < targets.max():
        raise UserError(
            f"{folder}: sequences have {targets.min()} to {targets.max()} targets, which the "
            "Trainer weights by token and a study by sequence; record a run with the same number "
            "of targets in each sequence"
        )


def _summary(folder: Path, corpus: Corpus) -> dict[str, Any]:
    heldout = {"sequences": corpus.heldout.shape[1], "tokens": int(corpus.heldout[0].size)}
    return {
        "source": "recording",
        "from": {"folder": str(folder)},
        "tokenizer": {"origin": None, "vocabulary": corpus.vocabulary, "end_of_text": None},
        "sequence_length": corpus.units.shape[-1],
        "warmup": {"sequences": 0, "tokens": 0},
        "units": {corpus.unit_domains[0]: len(corpus.unit_domains)},
        "domains": {domain: {"splits": {"heldout": heldout}} for domain in corpus.domains},
    }
