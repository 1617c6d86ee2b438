"""The section about stacks of estimators."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.config_hash import config_text
from bench.page import interval, is_above_zero, number, table
from bench.studies import environment_text

Record = Mapping[str, Any]

MAIN = "heldout"
HEAD = [
    *("study", "members with a weight", "best single one"),
    *("order-LDS", "gain [95 %]", "relative error", "gain [95 %]"),
]
EXPLAINED = (
    "A stack adds the recalibrated estimates of several estimators with non-negative weights. "
    "Weights and the best single estimator come from the calibration orders, scores from the "
    "random orders. Each score is that of the stack / of the best single one. A gain is positive "
    "where the stack is better; its interval is from paired resamples of the random orders."
)
LEFT_OUT = (
    "A stack lowers errors at best, does not rank orders better, and costs as much as all of its "
    "members together, so it is no estimator of a study."
)


def markdown(record: Record) -> str:
    """Return the section of the studies that `bench.stack` compared."""
    studies = record["studies"]
    environments = dict.fromkeys(environment_text(study["made"]) for study in studies)
    pairs = [(study["study"], stack) for study in studies for stack in study["stacks"]]
    main = [(label, stack) for label, stack in pairs if stack["metric"] == MAIN]
    return "\n\n".join(
        [
            *section(main),
            *_domains([stack for _, stack in pairs if stack["metric"] != MAIN]),
            f"Measured on: {' / '.join(environments)}; "
            f"{config_text(*(study['config'] for study in studies))}.",
        ]
    )


def section(stacks: Sequence[tuple[str, Record]]) -> list[str]:
    """Return the explanation, the table and the conclusion of stacks, each with its study."""
    if not stacks:
        return []
    return [EXPLAINED, table(HEAD, [_row(label, stack) for label, stack in stacks]), _sum(stacks)]


def _row(label: str, stack: Record) -> list[str]:
    best = stack["singles"][stack["best"]]
    weights = {name: weight for name, weight in stack["weights"].items() if weight > 0}
    return [
        f"{label}, {stack['set']}, n = {stack['n']}",
        ", ".join(f"`{name}` {weight:.2f}" for name, weight in weights.items()) or "none",
        f"`{stack['best']}`",
        f"{number(stack['stack']['order_lds'])} / {number(best['order_lds'])}",
        interval(stack["gain_order_lds"]),
        f"{number(stack['stack']['relative_error'])} / {number(best['relative_error'])}",
        interval(stack["gain_relative_error"]),
    ]


def _sum(stacks: Sequence[tuple[str, Record]]) -> str:
    """Return how often a stack is better, and how often its intervals contain the truth."""
    only = [stack for _, stack in stacks]
    counts = [
        f"{_better(only, f'gain_{score}')} in {text}"
        for score, text in (("order_lds", "order-LDS"), ("relative_error", "relative error"))
    ]
    covered = [s["stack"]["coverage"] for s in only if s["stack"]["coverage"] is not None]
    text = f"Of {len(only)} stacks, the whole interval of the gain is positive for "
    text += f"{' and for '.join(counts)}."
    if covered:
        text += f" The intervals of a stack contain the truth of at least {min(covered):.2f} of "
        text += "the random orders."
    return f"{text} {LEFT_OUT}"


def _better(stacks: Sequence[Record], score: str) -> int:
    return sum(is_above_zero(stack[score]) for stack in stacks)


def _domains(stacks: Sequence[Record]) -> list[str]:
    """Return the sentence about the other metrics: the gains, and how many are clear."""
    gains = [stack["gain_relative_error"]["value"] for stack in stacks]
    known = [gain for gain in gains if gain is not None]
    if not known:
        return []
    return [
        f"On the single domains, the gain in relative error is {number(min(known))} to "
        f"{number(max(known))}; its whole interval is positive for "
        f"{_better(stacks, 'gain_relative_error')} of {len(stacks)} stacks."
    ]
