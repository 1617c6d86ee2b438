"""The page of the two applications: searched orders and maps of positions, with replicates."""

import math
from collections.abc import Iterable, Mapping
from statistics import mean
from typing import Any

from bench.grid_page import measured_on
from bench.page import interval, is_above_zero, missing, number, numbers, table
from bench.search_progress import Progress, by_steps, rounds_table
from trainorder.config.estimator_names import method_of
from trainorder.config.sections.curriculum import AUTO, STEPS
from trainorder.curriculum.fresh_gains import shortfall
from trainorder.curriculum.replicate_gains import collect, places_by_group
from trainorder.evaluation.verdict import NOT_TRUSTED
from trainorder.memorization.maps import MAPS

Record = Mapping[str, Any]
STUDY_FIGURES = ("curriculum", "memorization", "forgetting")  # of the first training
NOTE = "Each row has its own scale; a point is a training with its own search and seeds."
PROGRESS = "Searches by steps. Distances are in standard deviations of random orders."
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


def markdown(record: Record) -> str:
    """Return the page from the content of `applications.json`."""
    return (
        "\n\n".join(
            [
                "# Curricula and memorization",
                _intro(record),
                *missing(record),
                "## Searched orders",
                gains(record),
                *searches_by_steps(record),
                *fresh(record),
                heuristics(record),
                _picture("replicates", "Gains of searched orders, by training"),
                *_first(record),
                "## What a position does",
                agreement(record),
                _picture("memorization", "Maps of positions, estimated beside true"),
                "## Forgetting",
                half_lives(record),
                _picture("forgetting", "Advantage of having been seen, by steps since"),
                measured_on(record["cells"]),
            ]
        )
        + "\n"
    )


def groups(record: Record) -> dict[str, Any]:
    """Return the gains and maps of the trainings by schedule and method, from their records."""
    cells = record["cells"]
    curricula = [{**cell["curriculum"], "provenance": cell} for cell in cells]
    maps = [cell["memorization"] for cell in cells]
    return collect(curricula, maps, cells[0]["confidence"])


def progress_by_group(record: Record) -> dict[str, list[Progress]]:
    """Return the progress of the searches by steps, by group of trainings."""
    cells = record["cells"]
    groups = places_by_group([cell["config"] for cell in cells])
    return by_steps(
        {name: [cells[n]["curriculum"] for n in places] for name, places in groups.items()}
    )


def _picture(name: str, text: str) -> str:
    return f"![{text}](../figures/full-{name}.png)"


def _intro(record: Record) -> str:
    return (
        "Made by `make applications`, which can be interrupted: the trainings of "
        "`presets/full.yaml`. They differ in the seeds of model, data and order, in the schedule, "
        "or in the method of the search. Each has its own search, maps and retrainings. "
        "[applications.json](applications.json) contains the numbers and the whole configurations."
    )


def gains(record: Record) -> str:
    """Return the table of the gains of searched orders, one row per schedule and method."""
    head = ["training", "studies", "method (all retrainings)", "verdicts"]
    trainings = groups(record)
    rows = [
        [
            name,
            str(len(group["studies"])),
            _searches(group),
            ", ".join([*one.values()][-1] for one in group["verdicts"]),
            *(_gain(group["gains"][key]) for key in BASELINES),
        ]
        for name, group in trainings.items()
    ]
    first = record["cells"][0]
    judge = method_of([*first["curriculum"]["verdicts"]][-1]).name
    return (
        f"{table([*head, *(f'against {text}' for text in BASELINES.values())], rows)}\n\n"
        "A gain is the loss of the baseline minus that of the best "
        "retrained searched order, in nats per token of `heldout`: the mean over studies with "
        f"Student's {first['confidence']:.0%} interval. In brackets: the gain of each study, in "
        "standard deviations of random orders. If a gain is negative, the baseline is better. The "
        f"verdicts are those of `{judge}`, which judges the global search, in each study.\n\n"
        + "\n\n".join(
            [
                _reached(trainings, "same_compute", "random orders of the same compute"),
                _reached(trainings, "field", "the best heuristic order"),
                *_shortfalls(record),
            ]
        )
    )


def in_short(record: Record) -> str:
    """Return the gains at equal compute as a sentence, for searches with the method of `auto`."""
    trainings = groups({**record, "cells": [c for c in record["cells"] if is_auto(c)]})
    parts = [
        f"{name.replace('_', '-')} {interval(group['gains']['same_compute'])}, "
        f"n = {len(group['studies'])}"
        for name, group in trainings.items()
    ]
    other_text = {
        name.replace("_", "-"): group["fresh"]["text"]["same_compute"]
        for name, group in trainings.items()
        if "text" in group["fresh"]
    }
    scores = "; ".join(f"{name} {interval(gain)}" for name, gain in other_text.items())
    shown = [name for name, gain in other_text.items() if is_above_zero(gain)]
    confidence = 100 * record["cells"][0]["confidence"]
    return (
        "[Searched orders](docs/order_search.md), retrained, against the expected best of as many "
        "random orders as their compute retrains: the gain in nats per token by schedule, as the "
        f"mean over seeds with its {confidence:.0f} % interval, is {'; '.join(parts)}. On held-out "
        f"text that the search did not see, it is {scores}; so there it is above zero, beyond "
        f"luck, for {', '.join(shown) or 'none'}."
    )


def is_auto(cell: Record) -> bool:
    """Return whether the study chooses between the global search and that by steps."""
    return bool(cell["config"]["curriculum"]["method"] == AUTO)


def _reached(trainings: Record, baseline: str, text: str) -> str:
    """Return in which trainings searches gain over a baseline, as a sentence."""
    above = {name: group["gains"][baseline]["low"] for name, group in trainings.items()}
    parts = {
        f"The interval of the gain over {text} is above zero": [
            name for name, low in above.items() if low is not None and low > 0
        ],
        "It is not": [name for name, low in above.items() if low is not None and low <= 0],
        "A single study has no interval": [name for name, low in above.items() if low is None],
    }
    return " ".join(f"{text}: {'; '.join(names)}." for text, names in parts.items() if names)


def _shortfalls(record: Record) -> list[str]:
    """Return the trainings with fewer random orders than their compute retrains, as a list."""
    return _too_few(
        f"{cell['label']}: {line}"
        for cell in record["cells"]
        if (line := shortfall(cell["curriculum"]["compute"]))
    )


def _too_few(shortfalls: Iterable[str]) -> list[str]:
    """Return the part about baselines of too few random orders, if there are any."""
    lines = [f"* {line}" for line in shortfalls]
    first = "Gains over a baseline of fewer orders are overestimated:"
    return ["\n".join([first, "", *lines])] if lines else []


def _searches(group: Record) -> str:
    """Return the method of each search with what it cost, for example `steps (90)`."""
    pairs = zip(group["methods"], group["compute"], strict=True)
    return ", ".join(f"{method} ({compute:.0f})" for method, compute in pairs)


def searches_by_steps(record: Record) -> list[str]:
    """Return the part about how searches by steps went on, if there are any."""
    searches = progress_by_group(record)
    if not searches:
        return []
    return [
        "### How searches by steps went on",
        rounds_table(searches),
        "Best start and best order: how far they are below the mean random order in each study, in "
        "standard deviations of random orders. The starts are orders that the study has retrained "
        "anyway. A move is an order that the search retrained; its gain is over the incumbent that "
        "it changes.",
        _picture("search_progress", "The best known order against the cost, and gains of moves"),
    ]


def fresh(record: Record) -> list[str]:
    """Return the table of the gains in fresh retrainings, if there are any."""
    kinds = {"text": "other text", "weights": "other text and weights"}
    baselines = {"random_mean": "mean random order", "same_compute": "same compute"}
    columns = [(kind, baseline) for kind in kinds for baseline in baselines]
    trainings = groups(record)
    rows = [
        [name, *(_gain(group["fresh"][kind][baseline]) for kind, baseline in columns)]
        for name, group in trainings.items()
        if kinds.keys() <= group["fresh"].keys()
    ]
    if not rows:
        return []
    head = ["training", *(f"{kinds[kind]}: {baselines[name]}" for kind, name in columns)]
    lines = [line for one in trainings.values() for line in one["fresh_shortfalls"]]
    return [
        "### The same orders, retrained afresh",
        f"{table(head, rows)}\n\nThe winner of each study, on held-out text that its search did "
        "not see, and also from other initial weights. The baseline of the same compute is the "
        "expected result here of the random order that is the best of as many in the study. What "
        "remains of a gain is due to the order; the rest was luck of text and weights.",
        *_too_few(lines),
    ]


def heuristics(record: Record) -> str:
    """Return the table of all heuristic orders beside the winners."""
    trainings = groups(record)
    names = dict.fromkeys(name for group in trainings.values() for name in group["orders"])
    first = next(iter(trainings.values()))["orders"]
    ranked = sorted(names, key=lambda name: -mean(first.get(name, [-math.inf])))
    rows = [
        [
            f"`{name}`" if name != "winner" else "the winner of the search",
            *(numbers(group["orders"].get(name, [])) for group in trainings.values()),
        ]
        for name in ranked
    ]
    return (
        f"### Heuristic orders\n\n{table(['order', *trainings], rows)}\n\n"
        "How far each retrained order is below the mean random order in each study, in standard "
        "deviations of random orders; negative: above it."
    )


def _gain(gain: Record) -> str:
    shares = ", ".join(f"{share:.1f}" for share in gain["in_spreads"])
    return f"{interval(gain)} ({shares})"


def _first(record: Record) -> list[str]:
    """Return the parts about the first training alone: its compute and its orders."""
    first = record["cells"][0]
    return [
        f"### The first training: {first['label']}",
        _compute(first["curriculum"]["compute"]),
        orders(first["curriculum"]),
        _picture("curriculum", "Searched and heuristic orders, retrained"),
    ]


def _compute(compute: Record) -> str:
    return (
        f"The search took {compute['search_retrainings']:.1f} retrainings, the "
        f"precompute of its estimators {compute['precompute_retrainings']:.1f}, and "
        f"{compute['retrained']} orders were retrained: {compute['total_retrainings']:.1f} in all, "
        f"which is {compute['random_orders_for_it']} random orders."
    )


def orders(curriculum: Record) -> str:
    """Return the table of the orders of a training, the best retrained one first."""
    retrained = sorted(
        (order for order in curriculum["orders"] if order["true"] is not None),
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
    random = curriculum["random"]
    return (
        f"{table(['order', 'from', *labels, 'retrained'], rows)}\n\n"
        f"Random orders: mean of those that are held back {random['mean']:.4f}, best of all "
        f"{random['n']} {min(random['true'].values()):.4f}."
    )


def _estimate(estimate: Record | None) -> str:
    return "–" if estimate is None else f"{estimate['value']:.4f}"


def maps_agreement(scores: Record) -> str:
    """Return the table of the agreement of maps with retraining, by quantity and way to move."""
    numbers = ["Spearman [95 %]", "n", "slope", "squared error", "of that of no map"]
    rows = [
        [
            text,
            move,
            interval(score),
            str(score["n"]),
            number(score["slope"]),
            number(score["mse"]),
            number(score["relative_mse"]),
        ]
        for quantity, text in QUANTITIES.items()
        for move in MAPS
        for score in [scores[quantity][move]]
    ]
    return table(["map", "moved by", *numbers], rows)


def agreement(record: Record) -> str:
    """Return the tables of the agreement of maps with retraining, first of the first training."""
    first = record["cells"][0]["memorization"]
    beside = table(
        ["training", *QUANTITIES.values()],
        [
            [name, *(numbers(group["agreement"][q]) for q in QUANTITIES)]
            for name, group in groups(record).items()
        ],
    )
    return (
        f"{maps_agreement(first['agreement'])}\n\n"
        "Estimated and true change over a stratified random sample of "
        "cells (unit, step), each retrained. The slope multiplies the estimated changes; squared "
        "errors are in squared nats per token, and beside those of no map. The same "
        f"correlation for presence, study by study:\n\n{beside}"
    )


def half_lives(record: Record) -> str:
    """Return the table of half-lives in the first training, and in each one."""
    forgetting = record["cells"][0]["memorization"]["forgetting"]
    rows = [
        [
            name,
            str(curve["units"]),
            interval(life) if life["value"] else "–",
            number(life["reached"]),
        ]
        for name, curve in forgetting.items()
        for life in [curve["half_life"]]
    ]
    head = ["units of", "n", "half-life (steps) [95 %]", "reached in resamples"]
    trainings = groups(record)
    beside = table(
        ["units of", *trainings],
        [
            [domain, *(numbers(_of_trusted_maps(g, domain)) for g in trainings.values())]
            for domain in forgetting
        ],
    )
    return (
        f"{table(head, rows)}\n\nThe half-life is the number of steps until a unit's advantage "
        "on its own loss has halved; –: not within the window, or the estimator of the maps cannot "
        "rank orders. Study by study, in steps:\n\n" + beside
    )


def _of_trusted_maps(group: Record, domain: str) -> list[float | None]:
    """Return the half-lives of a domain in each study; None where the maps are not trusted."""
    lives = group["half_lives"].get(domain, [None] * len(group["verdicts"]))
    return [
        None if maps_verdict(verdicts) == NOT_TRUSTED else life
        for life, verdicts in zip(lives, group["verdicts"], strict=True)
    ]


def maps_verdict(verdicts: Mapping[str, str]) -> str:
    """Return the verdict of the estimator that makes the maps, from those of a search.

    It is the first one: it scores many orders, as the maps do.
    """
    return next(iter(verdicts.values()))
