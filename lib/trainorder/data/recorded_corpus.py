"""The corpus of a study of a record: its units are the micro-batches of the window."""

from pathlib import Path
from typing import Any

import numpy as np

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.config.unit_labels import MIXED
from trainorder.data.corpus import Corpus
from trainorder.data.tokens import Labels
from trainorder.recording.record.heldout import check_domains, heldout_path, read_heldout
from trainorder.recording.record.layout import step_path
from trainorder.recording.record.settings import read_settings, settings_path
from trainorder.recording.record.steps import read_step
from trainorder.recording.record.targets import check_equal_targets, check_targets
from trainorder.recording.record.tokens import check_vocabulary


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
    check_domains(str(heldout_path(_folder(config))), domains)
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
        UserError: a file is missing or damaged, a token is not in the vocabulary, a sequence has no
            target, or a Trainer weights sequences by their number of targets.

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
    parts = {f"{folder}: steps": corpus.units, str(heldout_path(folder)): corpus.heldout}
    for where, sequences in parts.items():
        check_vocabulary(where, sequences, corpus.vocabulary)
        check_targets(where, sequences)
    if all(step.loss_scale is not None for step in steps):
        check_equal_targets(f"{folder}: steps", corpus.units)
    return corpus, _summary(folder, corpus)


def _folder(config: CorpusConfig) -> Path:
    return Path(config.files[0]).parent


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
