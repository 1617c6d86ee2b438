"""Checks before a study runs that the constraints of its search do not exclude every order."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.curriculum import CurriculumConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.config.unit_labels import MIXED, POISONED
from trainorder.curriculum.constraints import places
from trainorder.data.corpus_sizes import unit_counts
from trainorder.data.domains import domains_of
from trainorder.data.token_labels import token_labels
from trainorder.errors import UserError
from trainorder.orders.generate import reference_schedule
from trainorder.orders.user_files import read_reference


def check_feasible(config: Mapping[str, Any]) -> None:
    """Check pins against `furthest`, and quotas against the number of units of their domain.

    `config.constraint_checks` has the checks that need no data. What needs the domain of single
    units is only checked when the search begins, except for a corpus of tokens.

    Raises:
        UserError: the first entry that no order can meet.

    """
    if not config["curriculum"]:
        return
    curriculum = CurriculumConfig(**config["curriculum"])
    check_pins_within_reach(curriculum, _reference(config))
    counts = _counts(config)
    if counts is not None:
        check_quotas_within_domains(curriculum, counts)


def check_pins_within_reach(curriculum: CurriculumConfig, reference: np.ndarray) -> None:
    """Check that each pinned step is at most `furthest` steps from the unit's reference step.

    Args:
        curriculum: the constraints.
        reference: (T, k) schedule of the reference order.

    Raises:
        UserError: a unit is pinned too far away.

    """
    if curriculum.furthest is None:
        return
    home = places(reference[None])[0]
    for i, pin in enumerate(curriculum.pinned):
        unit, step = pin.unit, pin.step
        distance = abs(step - int(home[unit]))
        if distance > curriculum.furthest:
            raise UserError(
                f"config: curriculum.pinned[{i}]: step {step} is {distance} steps from step "
                f"{home[unit]}, where the reference order has unit {unit}; pin it nearer or raise "
                f"curriculum.furthest, which is {curriculum.furthest}"
            )


def check_quotas_within_domains(curriculum: CurriculumConfig, counts: Mapping[str, int]) -> None:
    """Check that no quota asks for more units than its domain has.

    Args:
        curriculum: the constraints.
        counts: number of units by domain.

    Raises:
        UserError: a quota asks for too many units.

    """
    for i, quota in enumerate(curriculum.quotas):
        least, count = quota.least, counts.get(quota.domain, 0)
        if least > count:
            raise UserError(
                f"config: curriculum.quotas[{i}]: least {least} is larger than the {count} units "
                f"of domain `{quota.domain}`; lower it"
            )


def _reference(config: Mapping[str, Any]) -> np.ndarray:
    window = WindowConfig(**config["window"])
    if config["run"]:
        return read_reference(config["run"].get("order"), window)
    return reference_schedule(window, config["seeds"]["order"])


def _counts(config: Mapping[str, Any]) -> dict[str, int] | None:
    """Return the number of units by domain; None where only the text tells the domains."""
    corpus, window = CorpusConfig(**config["corpus"]), WindowConfig(**config["window"])
    if corpus.source == "tokens":
        return Counter(token_labels(corpus, window).unit_domains)
    domains, assumed = domains_of(corpus)
    if assumed:
        return None
    pure, mixed = unit_counts(domains, window)
    return {**pure, MIXED: mixed, POISONED: window.poisoned}
