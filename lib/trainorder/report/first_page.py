"""The answers on the first page of the report: plain sentences with the numbers of the study."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from trainorder.curriculum.objective_words import is_final_loss
from trainorder.data.metrics import MAIN_METRIC
from trainorder.evaluation.estimate_cost import cost_text, retrainings_text
from trainorder.evaluation.predictability import number_text
from trainorder.evaluation.results import SPLIT_WORDS, Results
from trainorder.evaluation.verdict import (
    RANK_CORRELATION,
    RANK_ONLY,
    TRUSTED,
    TRUSTED_CORRELATION,
    TRUSTED_RELATIVE_ERROR,
)
from trainorder.figures.overview import PUBLISHED
from trainorder.numerics.resampling import Interval
from trainorder.orders.order import CALIBRATION, HELD_BACK, REFERENCE
from trainorder.report.best_order import best_order_answer, true_objectives
from trainorder.report.estimators import (
    accuracy_text,
    cost_table,
    estimator_text,
    verdict_text,
)
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
    "recalibrated": "mapped by a line that the calibration orders give, so that estimates have the "
    "level and scale of true losses; the rank of an estimate is taken before that",
    "held-back orders": "random orders that are retrained only to check the result; no estimator "
    "and no choice has seen them",
    "spread": "the standard deviation of the true held-out loss over the held-back orders",
    "growth": "the size of a small change of the parameters at the end of the window, over its "
    "size when it is made: below 1 it shrinks",
    "order-LDS": "the rank correlation of estimated and true loss over orders: 1 is a perfect "
    "ranking, 0 is chance; brackets hold its 95 % interval",
    "relative error": "the mean absolute error of recalibrated estimates, over that of the guess "
    "that the order has no effect (the mean of the calibration orders for every order)",
    "trusted": f"the lower end of the order-LDS interval on the calibration orders is at least "
    f"{TRUSTED_CORRELATION}, and the relative error on them at most {TRUSTED_RELATIVE_ERROR}",
    "rank only": f"that lower end is at least {RANK_CORRELATION}: estimates rank orders, and their "
    "size is not reliable",
    "not trusted, not calibrated": "neither of both; or too few calibration orders to say",
    "retraining": "the unit of cost: the arithmetic of one real training of the window",
    "replay": "the training repeated in another order with estimated gradients instead of new ones",
    "@reference, @barycentre": "the path of parameters at which an estimator knows gradients: that "
    "of the reference order, or the mean path of all orders (barycentre)",
    "cluster": "units that share one estimate of the curvature, which says how their gradients "
    "change with the parameters; by default the units of a domain",
    "known runs": "calibration orders of which the training was recorded, so that their gradients "
    "correct an estimate",
}
LIMITS = (
    "One model, one text and one set of seeds. The verdict is about random orders, and intervals "
    "are made for them; an order far from them should be retrained before it is used."
)


class Answer(NamedTuple):
    """A question, and what answers it; code is in backquotes.

    Attributes:
        question: the question.
        sentences: the answer.
        table: rows of a table with the numbers, the heading first; none if it is empty.
        note: a sentence below the table.

    """

    question: str
    sentences: list[str]
    table: Sequence[Sequence[str]] = ()
    note: str = ""


def answers(results: Results) -> list[Answer]:
    """Return the answers, the most important one first."""
    return [
        Answer("Does the order matter, and how much?", _spread(results)),
        Answer("Can the effect be estimated without retraining?", _verdict(results)),
        Answer(
            WHICH_ESTIMATOR,
            _estimator(results),
            cost_table(results, _usable(results)),
            _retraining(results),
        ),
        Answer(BEST_ORDER, best_order_answer(results)),
        Answer("What does one unit's position do?", position_answer(results)),
    ]


def _spread(results: Results) -> list[str]:
    spread = results.validation["spread"][MAIN_METRIC].get(HELD_BACK)
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
    if content and is_final_loss(content):
        true |= true_objectives(content)
    if not true:
        return []
    best, worst = min(true, key=lambda name: true[name]), max(true, key=lambda name: true[name])
    return [
        f"{_outside(results, true)} `{best}` is the best of them, {_side(true[best], spread)} the "
        f"mean random order, and `{worst}` the worst, {_side(true[worst], spread)} it."
    ]


def _outside(results: Results, true: Mapping[str, float]) -> str:
    """Return how many of the orders that are not random lie outside the range of random ones."""
    random = [
        losses[MAIN_METRIC]
        for name, losses in results.truth.items()
        if results.split(name) in SPLIT_WORDS
    ]
    below = sum(value < min(random) for value in true.values())
    above = sum(value > max(random) for value in true.values())
    return (
        f"Of the {len(true)} retrained orders that are not random, {len(true) - below - above} lie "
        f"inside the range of the {len(random)} random ones, {below} below it and {above} above it."
    )


def _side(true: float, spread: Mapping[str, Any]) -> str:
    spreads = (true - spread["mean"]) / spread["std"]
    return f"{abs(spreads):.1f} spreads {'above' if spreads > 0 else 'below'}"


def _verdict(results: Results) -> list[str]:
    validation = results.validation
    best = results.score(validation["best_estimator"])
    growth = results.predictability
    shown = growth.reason or _changed(growth.growth)
    return [
        f"Verdict of the study: **{validation['verdict']}**. A study has the verdict of its most "
        f"accurate estimator, here `{validation['best_estimator']}`: {best['verdict_reason']}.",
        f"Predictability of the window: {shown}. This class is called “{growth.expectation}”.",
    ]


def _changed(growth: Interval) -> str:
    value = growth.value
    if value is None:
        return "growth is undefined"
    what = "shrinks to" if value < 1 else "grows to"
    return (
        f"growth {with_interval(growth._asdict())}: a small change of the parameters {what} "
        f"{number_text(value)} of its size by the end of the window"
    )


def _estimator(results: Results) -> list[str]:
    selected = results.validation["selected_estimator"]
    best = results.score(selected)["verdict"]
    sentences = [
        f"**Use `{selected}`**: {estimator_text(selected)}. "
        f"It is {verdict_text(results, selected)}. "
        f"It costs {cost_text(results.validation, selected)}.{_seconds(results, selected)} "
        f"{accuracy_text(results, selected)}",
        _rule(best),
    ]
    if PUBLISHED in results.estimators:
        sentences.append(
            f"In this study the published method, `{PUBLISHED}`, is "
            f"{verdict_text(results, PUBLISHED)}. "
            f"{accuracy_text(results, PUBLISHED)}"
        )
    return sentences


def _seconds(results: Results, name: str) -> str:
    """Return how long a replay took, as a sentence; empty if it ran on no order."""
    seconds = results.score(name)["cost"]["seconds_per_order"]
    return "" if seconds is None else f" A replay takes {seconds:.2g} s."


def _usable(results: Results) -> list[str]:
    """Return the selected estimator, and the other ones with its verdict if they are usable."""
    selected = results.validation["selected_estimator"]
    best = results.score(selected)["verdict"]
    others = [name for name in results.estimators if name != selected and best in USABLE]
    return [selected, *(name for name in others if results.score(name)["verdict"] == best)]


def _rule(verdict: str) -> str:
    """Return why the study recommends its selected estimator."""
    if verdict not in USABLE:
        return "Why this one? No estimator of this study can rank orders; this one comes nearest."
    return (
        f"Why this one? Of the estimators that are {verdict}, which the table lists, its estimates "
        "of these orders cost least. Others can be more accurate and more expensive. An estimator "
        "that gives losses only, and no parameters, is recommended only if no other one is "
        f"{verdict}: it serves searches and maps."
    )


def _retraining(results: Results) -> str:
    """Return what the calibration orders cost, which come on top for every estimator."""
    validation = results.validation
    everything, calibration = validation["retrain_all"], validation["orders"][CALIBRATION]
    each = everything["total_retrainings"] / everything["orders"]
    return (
        "Costs are in retrainings. Any estimator also needs the calibration orders, which are "
        f"retrained before it has a verdict: {calibration} orders at {each:.2f} with evaluation "
        f"are {retrainings_text(calibration * each)}, on top of its own cost. The column “cheaper "
        "than retraining from” counts them. A further order is one beyond the calibration "
        "orders."
    )
