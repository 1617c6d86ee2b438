"""The answers on the first page of the report: plain sentences with the numbers of the study."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from trainorder.evaluation.results import Results
from trainorder.evaluation.verdict import MAIN_METRIC
from trainorder.figures.overview import PUBLISHED
from trainorder.report.best_order import best_order_answer
from trainorder.report.numbers import short, with_interval
from trainorder.report.positions import position_answer

WHICH_ESTIMATOR = "Which estimator, and what does it cost?"
BEST_ORDER = "What is the best order, and how certain is that?"
QUESTION = "What would the model have become, had it seen the same data in another order?"
WORDS = {
    "nats per token": "the unit of the held-out loss, which is the mean over all domains",
    "order-LDS": "rank correlation of estimated and true loss over random orders that no choice "
    "has seen: 1 is a perfect ranking, 0 is chance; brackets hold intervals",
    "relative error": '1 is the error of "the order has no effect"',
    "retraining": "the unit of cost: the arithmetic of one real training of the window",
    "spread": "the standard deviation of the true loss over random orders",
}
LIMITS = (
    "One model, one text and one set of seeds. Verdict and intervals hold for random orders; an "
    "order far from them should be retrained before it is used."
)


class Answer(NamedTuple):
    """A question, and sentences that answer it; code is in backquotes."""

    question: str
    sentences: list[str]


def answers(results: Results) -> list[Answer]:
    """Return the answers, the most important one first."""
    return [
        Answer("Does the order matter, and how much?", _spread(results)),
        Answer("Can the effect be estimated without retraining?", _verdict(results)),
        Answer(WHICH_ESTIMATOR, _estimator(results)),
        Answer(BEST_ORDER, best_order_answer(results)),
        Answer("What does one unit's position do?", position_answer(results)),
    ]


def _spread(results: Results) -> list[str]:
    spread = results.validation["spread"][MAIN_METRIC].get("random")
    if not spread or not spread["std"]:
        return ["Unknown: fewer than two random orders were retrained."]
    share = 100 * spread["std"] / spread["mean"]
    sentences = [
        f"**Yes, by {short(share)} % of the loss** for random orders: {spread['n']} of them, all "
        f"retrained, end between {spread['min']:.4f} and {spread['max']:.4f} nats per token. Their "
        f"standard deviation, the *spread*, is {short(spread['std'])} at a mean of "
        f"{spread['mean']:.4f}."
    ]
    return [*sentences, *_structured(results, spread)]


def _structured(results: Results, spread: Mapping[str, Any]) -> list[str]:
    """Return how far deliberate orders differ from random ones."""
    true = {
        name: (losses[MAIN_METRIC] - spread["mean"]) / spread["std"]
        for name, losses in results.truth.items()
        if results.split(name) == "structured"
    }
    if not true:
        return []
    best, worst = min(true, key=lambda name: true[name]), max(true, key=lambda name: true[name])
    return [
        f"Deliberate orders differ more: `{worst}` is {_side(true[worst])} the mean random order, "
        f"`{best}` {_side(true[best])} it."
    ]


def _side(spreads: float) -> str:
    return f"{abs(spreads):.1f} spreads {'above' if spreads > 0 else 'below'}"


def _verdict(results: Results) -> list[str]:
    validation = results.validation
    best = results.score(validation["best_estimator"])
    growth = results.predictability
    shown = growth.reason or f"growth {with_interval(growth.growth._asdict())}"
    return [
        f"Verdict: **{validation['verdict']}**, because of {best['verdict_reason']} "
        f"(`{validation['best_estimator']}`, the most accurate estimator).",
        f"Predictability of the window: {shown}; {growth.expectation}.",
    ]


def _estimator(results: Results) -> list[str]:
    validation = results.validation
    selected, best = validation["selected_estimator"], validation["best_estimator"]
    everything = validation["retrain_all"]
    sentences = [
        f"**Use `{selected}`** ({results.score(selected)['verdict']}). It costs "
        f"{_cost(results, selected)}; retraining all {everything['orders']} random orders of the "
        f"study costs {short(everything['total_retrainings'])}. {_accuracy(results, selected)}"
    ]
    if best != selected:
        sentences.append(
            f"The most accurate one is `{best}`: {_cost(results, best)}. {_accuracy(results, best)}"
        )
    if PUBLISHED in results.estimators:
        verdict = results.score(PUBLISHED)["verdict"]
        sentences.append(
            f"The published method, `{PUBLISHED}`, is {verdict} here. "
            f"{_accuracy(results, PUBLISHED)}"
        )
    return sentences


def _cost(results: Results, name: str) -> str:
    cost = results.score(name)["cost"]
    each, seconds = cost["per_order_retrainings"], cost["seconds_per_order"]
    if each is None:
        per_order = "an unknown cost per order"
    else:
        per_order = f"{short(each) if each else 'no gradient'} per order"
    timed = "" if seconds is None else f" ({short(seconds)} s)"
    return f"{short(cost['precompute_retrainings'])} retrainings once and {per_order}{timed}"


def _accuracy(results: Results, name: str) -> str:
    score = results.score(name)
    rank = score["order_lds"][MAIN_METRIC]["random"]
    error = score["relative_error"][MAIN_METRIC]["random"]
    return (
        f"On {rank['n']} held-back random orders: order-LDS {with_interval(rank)}, relative error "
        f"{short(error)}."
    )
