"""Domains of text: which a corpus will have, and whether those that are named are among them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainorder.config.sections import CorpusConfig, CurriculumConfig
from trainorder.data import archives
from trainorder.data.corpus import MIXED
from trainorder.data.metrics import metric_names
from trainorder.data.tokens import read_labels
from trainorder.errors import UserError


def domains_of(config: CorpusConfig) -> tuple[list[str], bool]:
    """Return the domains of a corpus that is not built yet, and whether they are only assumed."""
    if config.domains is not None:
        return config.domains, False
    if config.source == "tokens":
        return read_labels(config.files[0]).domains, False
    if config.source == "packages":
        return [archive.domain for archive in archives.TEXTS], False
    if config.source == "files":
        names = sorted({Path(name).stem for name in config.files})
        return names, any(Path(name).suffix != ".txt" for name in config.files)
    return ["hub"], True


def check_domains(config: Mapping[str, Any]) -> None:
    """Check that the domains which a configuration names will be there, as far as it tells.

    Those of lines and tables only their text tells.

    Raises:
        UserError: the first that will not, with its key.

    """
    corpus = CorpusConfig(**config["corpus"])
    there, assumed = domains_of(replace(corpus, domains=None))
    if corpus.source == "files" and not assumed:
        _check_named("corpus.domains", corpus.domains or [], there, "domain")
    domains, assumed = domains_of(corpus)
    if assumed or not config["curriculum"]:
        return
    curriculum = CurriculumConfig(**config["curriculum"])
    known = metric_names(domains)
    _check_named("curriculum.objective", list(curriculum.weights), known, "metric")
    quotas = [quota.domain for quota in curriculum.quotas]
    _check_named("curriculum.quotas", quotas, [*domains, MIXED], "domain")


def _check_named(key: str, names: Sequence[str], known: Sequence[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise UserError(f"config: {key}: no {what} `{name}`; this study has {', '.join(known)}")
