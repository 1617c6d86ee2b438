"""The page of the two applications: searched orders and maps of positions, with replicates."""

import math
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from bench.page import interval, number, table
from bench.studies import environment_text
from trainorder.config.config_hash import config_text
from trainorder.config.estimator_names import method_of
from trainorder.config.sections.curriculum import STEPS

Record = Mapping[str, Any]
FIGURES = ("curriculum", "replicates", "memorization", "forgetting")
BASELINES = {
    "random_mean": "the mean random order",
    "same_compute": "the expected best of as many random orders as the same compute retrains",
    "field": "the best heuristic order",
}
QUANTITIES = {
    "own": "loss on the unit itself (memorization)",
    "same": "held-out loss of its domain (generalization)",
    "other": "held-out loss of the other domains",
}
MOVES = ("swap", "insertion", "presence")


def markdown(record: Record) -> str:
    """Return the page from the content of `applications.json`."""
    return (
        "\n\n".join(
            [
                "# Curricula and memorization",
                _intro(record),
                "## Searched orders",
                gains(record),
                *fresh(record),
                *heuristics(record),
                _picture("replicates", "Gains of searched orders, by study"),
                _compute(record),
                orders(record),
                _picture("curriculum", "Searched and heuristic orders, retrained"),
                "## What a position does",
                agreement(record),
                _picture("memorization", "Maps of positions, estimated beside true"),
                "## Forgetting",
                half_lives(record),
                _picture("forgetting", "Advantage of having been seen, by steps since"),
            ]
        )
        + "\n"
    )


def _picture(name: str, text: str) -> str:
    return f"![{text}](../figures/full-{name}.png)"


def _intro(record: Record) -> str:
    seeds = ", ".join(f"{name} {seed}" for name, seed in record["seeds"].items())
    trainings = sum(len(group["studies"]) for group in record["replicates"]["groups"].values())
    return (
        f"Made by `make applications`: the study `presets/full.yaml`, {trainings} trainings that "
        "differ in seeds of model, data and order, in schedule, or in rate, each with its own "
        "search, maps and retrainings. "
        "[applications.json](applications.json) contains the numbers and the whole configuration. "
        f"Base study: seeds {seeds}, verdict "
        f"**{record['verdict']}**, standard deviation of `heldout` over random orders "
        f"{number(record['spread']['std'])} nats per token (n = {record['spread']['n']}). "
        f"{environment_text(record)}; a retraining takes "
        f"{record['retraining_seconds']:.2f} s there; "
        f"{config_text(record['config'])}."
    )


def gains(record: Record) -> str:
    """Return the table of the gains of searched orders, one row per schedule, rate and method."""
    groups = record["replicates"]["groups"]
    judge = method_of(_judge(record)).name
    has_methods = any("methods" in group for group in groups.values())
    head = ["training", "studies", *(["search (retrainings)"] if has_methods else []), "verdicts"]
    rows = [
        [
            name,
            str(len(group["studies"])),
            *([_searches(group)] if has_methods else []),
            ", ".join([*one.values()][-1] for one in group["verdicts"]),
            *(_gain(group["gains"][key]) for key in BASELINES),
        ]
        for name, group in groups.items()
    ]
    confidence = record["replicates"]["confidence"]
    return (
        f"{table([*head, *(f'against {text}' for text in BASELINES.values())], rows)}\n\n"
        "A gain is the loss of the baseline minus that of the best "
        "retrained searched order, in nats per token of `heldout`: the mean over studies with "
        f"Student's {confidence:.0%} interval. In brackets: the gain of each study, in standard "
        "deviations of random orders. If a gain is negative, the baseline is better. The verdicts "
        f"are those of `{judge}`, which judges the search, in each study."
    )


def _judge(record: Record) -> str:
    """Return the name of the estimator that scores the best orders of a search."""
    return str([*record["curriculum"]["verdicts"]][-1])


def _searches(group: Record) -> str:
    """Return the method of each search with what it cost, for example `steps (90)`."""
    pairs = zip(group["methods"], group["compute"], strict=True)
    return ", ".join(f"{method} ({compute:.0f})" for method, compute in pairs)


def fresh(record: Record) -> list[str]:
    """Return the table of the gains in fresh retrainings, if there are any."""
    groups = record["replicates"]["groups"]
    kinds = {"text": "other text", "weights": "other text and weights"}
    baselines = {"random_mean": "mean random order", "same_compute": "same compute"}
    columns = [(kind, baseline) for kind in kinds for baseline in baselines]
    rows = [
        [name, *(_gain(group["fresh"][kind][baseline]) for kind, baseline in columns)]
        for name, group in groups.items()
        if kinds.keys() <= group.get("fresh", {}).keys()
    ]
    if not rows:
        return []
    head = ["training", *(f"{kinds[kind]}: {baselines[name]}" for kind, name in columns)]
    lines = [f"* {line}" for one in groups.values() for line in one.get("fresh_shortfalls", [])]
    short = "Gains over a baseline of fewer orders are overestimated:"
    return [
        "### The same orders, retrained afresh",
        f"{table(head, rows)}\n\nThe winner of each study, on held-out text that its search did "
        "not see, and also from other initial weights. The baseline of the same compute is the "
        "expected result here of the random order that is the best of as many in the study. What "
        "remains of a gain is due to the order; the rest was luck of text and weights.",
        *(["\n".join([short, "", *lines])] if lines else []),
    ]


def heuristics(record: Record) -> list[str]:
    """Return the table of all heuristic orders beside the winners, if the record has them."""
    groups = record["replicates"]["groups"]
    names = dict.fromkeys(name for group in groups.values() for name in group.get("orders", {}))
    if not names:
        return []
    first = next(iter(groups.values()))["orders"]
    ranked = sorted(names, key=lambda name: -mean(first.get(name, [-math.inf])))
    rows = [
        [
            f"`{name}`" if name != "winner" else "the winner of the search",
            *(_numbers(group["orders"].get(name, [])) for group in groups.values()),
        ]
        for name in ranked
    ]
    return [
        "### Heuristic orders",
        f"{table(['order', *groups], rows)}\n\nHow far each retrained order is below the mean "
        "random order in each study, in standard deviations of random orders; negative: above it.",
    ]


def _gain(gain: Record) -> str:
    shares = ", ".join(f"{share:.1f}" for share in gain["in_spreads"])
    return f"{interval(gain)} ({shares})"


def _compute(record: Record) -> str:
    compute = record["curriculum"]["compute"]
    return (
        f"In the base study the search took {compute['search_retrainings']:.1f} retrainings, the "
        f"precompute of its estimators {compute['precompute_retrainings']:.1f}, and "
        f"{compute['retrained']} orders were retrained: {compute['total_retrainings']:.1f} in all, "
        f"which is {compute['random_orders_for_it']} random orders."
    )


def orders(record: Record) -> str:
    """Return the table of the base study's orders, the best retrained one first."""
    retrained = sorted(
        (order for order in record["curriculum"]["orders"] if order["true"] is not None),
        key=lambda order: float(order["true"]),
    )
    names = list(dict.fromkeys(name for order in retrained for name in order["estimates"]))
    labels = [f"`{name if name == STEPS else method_of(name).name}`" for name in names]
    rows = [
        [
            f"`{order['name']}`",
            "search" if order["kind"] == "searched" else "heuristic",
            *(_estimate(order["estimates"].get(name)) for name in names),
            f"{order['true']:.4f}",
        ]
        for order in retrained
    ]
    random = record["curriculum"]["random"]
    return (
        f"{table(['order', 'from', *labels, 'retrained'], rows)}\n\n"
        f"Random orders: mean {random['mean']:.4f}, best "
        f"{min(random['true'].values()):.4f} of {random['n']}."
    )


def _estimate(estimate: Record | None) -> str:
    return "–" if estimate is None else f"{estimate['value']:.4f}"


def maps_agreement(scores: Record) -> str:
    """Return the table of the agreement of maps with retraining, by quantity and way to move."""
    head = ["map", "moved by", "Spearman [95 %]", "n", "mean squared error", "of the variance"]
    rows = [
        [
            text,
            move,
            interval(score),
            str(score["n"]),
            number(score["mse"]),
            number(score["relative_mse"]),
        ]
        for quantity, text in QUANTITIES.items()
        for move in MOVES
        for score in [scores[quantity][move]]
    ]
    return table(head, rows)


def agreement(record: Record) -> str:
    """Return the tables of the agreement of maps with retraining, and of the replicates."""
    groups = record["replicates"]["groups"]
    beside = table(
        ["training", *QUANTITIES.values()],
        [
            [name, *(_numbers(group["agreement"][q]) for q in QUANTITIES)]
            for name, group in groups.items()
        ],
    )
    return (
        f"{maps_agreement(record['agreement'])}\n\n"
        "Estimated and true change over a stratified random sample of "
        "cells (unit, step), each retrained; squared errors in squared nats per token. The same "
        f"correlation for presence, study by study:\n\n{beside}"
    )


def half_lives(record: Record) -> str:
    """Return the table of half-lives in the base study, and over the replicates."""
    rows = [
        [
            name,
            str(curve["units"]),
            interval(life) if life["value"] else "–",
            number(life["reached"]),
        ]
        for name, curve in record["forgetting"].items()
        for life in [curve["half_life"]]
    ]
    head = ["units of", "n", "half-life (steps) [95 %]", "reached in resamples"]
    groups = record["replicates"]["groups"]
    beside = table(
        ["units of", *groups],
        [
            [domain, *(_numbers(g["half_lives"].get(domain, [])) for g in groups.values())]
            for domain in record["forgetting"]
        ],
    )
    return (
        f"{table(head, rows)}\n\nThe half-life is the number of steps until a unit's advantage "
        "on its own loss has halved; –: not within the window. Study by study, in steps:\n\n"
        + beside
    )


def _numbers(values: Sequence[float | None]) -> str:
    return ", ".join(map(number, values))
