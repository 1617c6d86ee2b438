"""The domains of a corpus before it is built, and a check of the configured names."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.curriculum import CurriculumConfig
from trainorder.config.text_paths import PLAIN, text_files
from trainorder.config.unit_labels import LABELS
from trainorder.data import archives
from trainorder.data.metrics import metric_names
from trainorder.data.token_labels import token_domains
from trainorder.errors import UserError


def domains_of(config: CorpusConfig) -> tuple[list[str], bool]:
    """Return the domains of a corpus before it is built, and whether they are assumed.

    They are assumed if only the text states them: for files with columns and hub datasets.

    Raises:
        UserError: the metadata of a token file cannot be read.

    """
    if config.domains is not None:
        return config.domains, False
    if config.source == "tokens":
        return token_domains(config), False
    if config.source == "packages":
        return [archive.domain for archive in archives.TEXTS], False
    if config.source == "files":
        files = text_files(config.files)
        names = sorted({file.domain for file in files})
        return names, any(file.kind != PLAIN for file in files)
    return ["hub"], True


def check_domains(config: Mapping[str, Any]) -> None:
    """Check the domains and metrics that a configuration names.

    Names are not checked if the domains are only known after reading the text. The search then
    checks its own.

    Raises:
        UserError: the first unknown name, with its key.

    """
    corpus = CorpusConfig(**config["corpus"])
    if corpus.source == "packages":
        archives.select(corpus.domains)  # raises for an unknown domain
    available, assumed = domains_of(replace(corpus, domains=None))
    if corpus.source == "files" and not assumed:
        _check_named("corpus.domains", corpus.domains or [], available, "domain")
    domains, assumed = domains_of(corpus)
    if assumed or not config["curriculum"]:
        return
    averaged = config["averaged_states"] is not None
    check_search(CurriculumConfig(**config["curriculum"]), domains, averaged)


def check_search(curriculum: CurriculumConfig, domains: Sequence[str], averaged: bool) -> None:
    """Check that a study has the metrics and the domains that the search names.

    Args:
        curriculum: the search.
        domains: of the corpus.
        averaged: whether the study evaluates averaged weights.

    Raises:
        UserError: the first unknown name, with its key.

    """
    known = metric_names(domains, averaged)
    _check_named("curriculum.objective", list(curriculum.weights), known, "metric")
    quotas = [quota.domain for quota in curriculum.quotas]
    _check_named("curriculum.quotas", quotas, [*domains, *LABELS], "domain")


def _check_named(key: str, names: Sequence[str], known: Sequence[str], kind: str) -> None:
    for name in names:
        if name not in known:
            raise UserError(f"config: {key}: no {kind} `{name}`; this study has {', '.join(known)}")
