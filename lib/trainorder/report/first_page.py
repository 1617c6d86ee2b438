"""The answers on the first page of the report: plain sentences with the numbers of the study."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from trainorder.config.estimator_names import method_of
from trainorder.evaluation.results import Results
from trainorder.evaluation.verdict import MAIN_METRIC, RANK_ONLY, TRUSTED
from trainorder.figures.overview import PUBLISHED
from trainorder.report.best_order import best_order_answer
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
    "ranking, 0 is chance",
    "relative error": 'the error of an estimate over that of "the order has no effect"',
    "retraining": "the unit of cost: the arithmetic of one real training of the window",
    "@reference, @barycentre": "the path along which an estimator expands the training: that of "
    "the reference, or of the mean over all orders",
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
    share = 100 * (spread["max"] - spread["min"]) / spread["mean"]
    sentences = [
        f"**Random orders differ by up to {short(share)} % of the held-out loss**: the "
        f"{spread['n']} held-back orders, all retrained, end between {spread['min']:.4f} and "
        f"{spread['max']:.4f} nats per token. Their standard deviation, the *spread*, is "
        f"{nats(spread['std'])} at a mean of {spread['mean']:.4f}."
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
        true |= {o["name"]: o["true"] for o in content["orders"] if o["true"] is not None}
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
        f"Verdict: **{validation['verdict']}**, because of {best['verdict_reason']} "
        f"(`{validation['best_estimator']}`, the most accurate estimator).",
        f"Predictability of the window: {shown}; {growth.expectation}.",
    ]


def _estimator(results: Results) -> list[str]:
    validation = results.validation
    selected, everything = validation["selected_estimator"], validation["retrain_all"]
    verdict, calibration = results.score(selected)["verdict"], validation["orders"]["calibration"]
    sentences = [
        f"**Use `{selected}`** ({verdict}): {method_of(selected).summary}. It costs "
        f"{_cost(results, selected)}. {_accuracy(results, selected)}",
        f"Of the estimators with this verdict it is the cheapest for the {everything['orders']} "
        "random orders of the study (calibration and held-back orders). Retraining and evaluating "
        f"them all costs {short(everything['total_retrainings'])}. Any estimator also needs the "
        f"calibration orders, here {calibration} retrainings, before it has a verdict.",
    ]
    for name in results.estimators:
        if name != selected and verdict in USABLE and results.score(name)["verdict"] == verdict:
            sentences.append(
                f"Also {verdict}: `{name}` ({method_of(name).summary}). It costs "
                f"{_cost(results, name)}. {_accuracy(results, name)}"
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
    total = cost["total_retrainings"]
    whole = "" if total is None else f", {short(total)} for all random orders and their evaluation"
    return f"{short(cost['precompute_retrainings'])} retrainings once, {per_order}{timed}{whole}"


def _accuracy(results: Results, name: str) -> str:
    score = results.score(name)
    rank = score["order_lds"][MAIN_METRIC]["random"]
    error = score["relative_error"][MAIN_METRIC]["random"]
    return (
        f"On {rank['n']} held-back random orders: order-LDS {with_interval(rank)}, relative error "
        f"{short(error)}."
    )
