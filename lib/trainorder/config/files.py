"""Checks that the files that a configuration names exist."""

import re
from collections.abc import Mapping
from os.path import isdir, isfile  # return False for an impossible path, where pathlib raises
from pathlib import Path
from typing import Any

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.model import PACKAGED_MODEL_FOLDER
from trainorder.config.sections.run import RunConfig
from trainorder.config.text_paths import text_files
from trainorder.errors import UserError

_HUB_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?")
_REMEDY = "correct this path; a relative one starts at the folder in which the study runs"


def check_files(config: Mapping[str, Any]) -> None:
    """Check that the files and folders of a configuration exist.

    They are text, tokens, the run, rates, orders and the model. A name that can also be one on
    the hub is looked up when it is read.

    Raises:
        UserError: the first one that does not exist, with its key.

    """
    named = []
    if config["run"]:
        run = RunConfig(**config["run"])
        if not isdir(run.checkpoints):
            key = "recording" if run.recording else "checkpoints"
            raise UserError(f"config: run.{key}: {run.checkpoints}: no such folder; {_REMEDY}")
        if run.recording is None:
            named.append(("run.order", run.order))
    named += [("corpus.files", path) for path in corpus_files(config["corpus"])]
    if config["orders"]["custom"] is not None:
        named.append(("orders.custom", config["orders"]["custom"]))
    if isinstance(config["optimizer"]["rates"], str):
        named.append(("optimizer.rates", config["optimizer"]["rates"]))
    for key, path in named:
        if not isfile(path):
            raise UserError(f"config: {key}: {path}: no such file; {_REMEDY}")
    _check_revisions(config)
    for section, key in (("model", "source"), ("corpus", "tokenizer")):
        name = config[section][key]
        if (
            name is None
            or isdir(name)
            or Path(name) == Path(PACKAGED_MODEL_FOLDER)
            or _may_be_hub_name(name)
        ):
            continue
        raise UserError(
            f"config: {section}.{key}: {name}: no such folder, and not a name on the hub; "
            f"{_REMEDY}, or give OWNER/NAME"
        )


def corpus_files(corpus: Mapping[str, Any]) -> list[str]:
    """Return the files of text or tokens that the section `corpus` names; patterns are expanded.

    Raises:
        UserError: an entry names no file of a known kind.

    """
    section = CorpusConfig(**corpus)
    if section.source == "files":
        return [file.path for file in text_files(section.files, columns=section.one_sequence_each)]
    return list(section.files) if section.source == "tokens" else []


def _check_revisions(config: Mapping[str, Any]) -> None:
    """Check that no local folder has a revision."""
    hub = config["corpus"]["hub"] or {}
    for key, name, revision in (
        ("model.revision", config["model"]["source"], config["model"]["revision"]),
        ("corpus.hub.revision", hub.get("name"), hub.get("revision")),
    ):
        if revision is not None and isdir(name or ""):
            raise UserError(f"config: {key}: {name} is a local folder, which has none; remove it")


def _may_be_hub_name(name: str) -> bool:
    """Return whether a name may be one on the hub: not if its first part is a local folder."""
    parts = Path(name).parts
    return _HUB_NAME.fullmatch(name) is not None and not (len(parts) > 1 and isdir(parts[0]))
