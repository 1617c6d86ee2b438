"""The answers on the first page of the report: plain sentences with the numbers of the study."""

from collections.abc import Mapping
from math import ceil
from typing import Any, NamedTuple

from trainorder.evaluation.results import Results
from trainorder.evaluation.verdict import MAIN_METRIC, RANK_ONLY, TRUSTED
from trainorder.figures.overview import PUBLISHED
from trainorder.orders.order import REFERENCE
from trainorder.report.best_order import best_order_answer, true_objectives
from trainorder.report.estimators import accuracy_text, break_even, cost_text, estimator_text
from trainorder.report.numbers import nats, short, with_interval
from trainorder.report.positions import position_answer

WHICH_ESTIMATOR = "Which estimator, and what does it cost?"
BEST_ORDER = "What is the best order, and how certain is that?"
USABLE = (TRUSTED, RANK_ONLY)  # verdicts of estimators that a user can choose
QUESTION = "What would the model have become, had it seen the same data in another order?"
WORDS = {
    "held-out loss": "the loss at the end of the window on text that was not trained on, in nats "
    "per token, as a mean over all domains",
    "true": "measured after a real retraining in that order",
    "calibration orders": "random orders that are retrained so that estimators can be corrected "
    "and judged; the verdict comes from them",
    "held-back orders": "random orders that are retrained only to check the result; no estimator "
    "and no choice has seen them",
    "spread": "the standard deviation of the true held-out loss over the held-back orders",
    "growth": "how many times larger (or smaller) a small change of the parameters becomes by the "
    "end of the window",
    "order-LDS": "the rank correlation of estimated and true loss over orders: 1 is a perfect "
    "ranking, 0 is chance; brackets hold its 95 % interval",
    "relative error": 'the error of an estimate over that of "the order has no effect"',
    "retraining": "the unit of cost: the arithmetic of one real training of the window",
    "@reference, @barycentre": "the path along which an estimator expands the training: that of "
    "the reference, or of the mean over all orders",
}
LIMITS = (
    "One model, one text and one set of seeds. The verdict is about random orders, and intervals "
    "are made for them; an order far from them should be retrained before it is used."
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
    reference = results.truth[REFERENCE][MAIN_METRIC]
    share = 100 * (spread["max"] - spread["min"]) / spread["mean"]
    sentences = [
        f"**Random orders differ by up to {short(share)} % of the held-out loss**: the "
        f"{spread['n']} held-back orders, all retrained, end between {spread['min']:.4f} and "
        f"{spread['max']:.4f} nats per token. Their standard deviation, the *spread*, is "
        f"{nats(spread['std'])} at a mean of {spread['mean']:.4f}. The reference itself ends at "
        f"{reference:.4f}, {_side(reference, spread)} the mean."
    ]
    return [*sentences, *_extremes(results, spread)]


def _extremes(results: Results, spread: Mapping[str, Any]) -> list[str]:
    """Return the best and the worst of the orders that somebody or a search made."""
    true = {
        name: losses[MAIN_METRIC]
        for name, losses in results.truth.items()
        if results.split(name) in ("structured", "custom")
    }
    content = results.curriculum
    if content and content["objective"] == {MAIN_METRIC: 1.0} and content["readouts"] == 1:
        true |= true_objectives(content)
    if not true:
        return []
    best, worst = min(true, key=lambda name: true[name]), max(true, key=lambda name: true[name])
    return [
        f"Orders that are not random differ more. Of {len(true)} that were retrained, `{best}` is "
        f"the best, {_side(true[best], spread)} the mean random order, and `{worst}` the worst, "
        f"{_side(true[worst], spread)} it."
    ]


def _side(true: float, spread: Mapping[str, Any]) -> str:
    spreads = (true - spread["mean"]) / spread["std"]
    return f"{abs(spreads):.1f} spreads {'above' if spreads > 0 else 'below'}"


def _verdict(results: Results) -> list[str]:
    validation = results.validation
    best = results.score(validation["best_estimator"])
    growth = results.predictability
    shown = growth.reason or f"growth {with_interval(growth.growth._asdict())}"
    return [
        f"Verdict of the study: **{validation['verdict']}**. It is that of its most accurate "
        f"estimator, `{validation['best_estimator']}`: {best['verdict_reason']}.",
        f"Predictability of the window: {shown}. This is the class “{growth.expectation}”.",
    ]


def _estimator(results: Results) -> list[str]:
    validation = results.validation
    selected, everything = validation["selected_estimator"], validation["retrain_all"]
    score, calibration = results.score(selected), validation["orders"]["calibration"]
    each = everything["total_retrainings"] / everything["orders"]
    sentences = [
        f"**Use `{selected}`**: {estimator_text(selected)}. It is {score['verdict']}: "
        f"{score['verdict_reason']}. It costs {cost_text(results, selected)}. "
        f"{accuracy_text(results, selected)}",
        f"Any estimator needs the calibration orders, here {calibration} retrainings, before it "
        f"has a verdict. To retrain and evaluate an order costs {each:.2f}. "
        f"{_worth(results, selected)}",
    ]
    for name in results.estimators:
        verdict = results.score(name)["verdict"]
        if name != selected and verdict in USABLE and verdict == score["verdict"]:
            sentences.append(
                f"Also {verdict}: `{name}` ({estimator_text(name)}). It costs "
                f"{cost_text(results, name)}. {accuracy_text(results, name)}"
            )
    if PUBLISHED in results.estimators:
        verdict = results.score(PUBLISHED)["verdict"]
        sentences.append(
            f"The published method, `{PUBLISHED}`, is {verdict} here. "
            f"{accuracy_text(results, PUBLISHED)}"
        )
    return sentences


def _worth(results: Results, name: str) -> str:
    """Return from how many orders on an estimator is worth its cost."""
    orders = break_even(results, name)
    if orders is None:
        return f"`{name}` costs more than that for each order."
    return (
        f"So `{name}` with its calibration orders costs less than retraining if you ask about more "
        f"than {ceil(orders)} orders."
    )
