"""Whether a study searches globally or by steps, and why."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from trainorder.config.sections.curriculum import AUTO, GLOBAL, STEPS
from trainorder.evaluation.verdict import RANK_ONLY, TRUSTED


class SearchMethod(NamedTuple):
    """The method of a search, `global` or `steps`, and the reason in one sentence."""

    method: str
    reason: str


def search_method(
    configured: str, estimators: Sequence[str], scores: Mapping[str, Mapping[str, Any]]
) -> SearchMethod:
    """Return the method of the search; `docs/order_search.md` states the rule.

    Args:
        configured: `curriculum.method`.
        estimators: the estimators of the global search.
        scores: the section `estimators` of `validation.json`.

    """
    if configured != AUTO:
        return SearchMethod(configured, "curriculum.method asks for it")
    for name in estimators:
        score = scores[name]
        if score["verdict"] not in (TRUSTED, RANK_ONLY):
            return SearchMethod(
                STEPS,
                f"the global search scores orders with {name}, which is {score['verdict']}: "
                f"{score['verdict_reason']}",
            )
    names = " and ".join(estimators)
    return SearchMethod(GLOBAL, f"{names} can rank the calibration orders")
