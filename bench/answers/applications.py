"""What searched orders, maps of positions and further readouts show: answers from the records."""

from collections.abc import Mapping, Sequence

from bench import applications_page
from bench.answers.records import MissingError, Records
from bench.answers.words import PUBLISHED, Record, short
from bench.page import interval, is_above_zero, number, numbers, short_number
from trainorder.memorization.maps import MAPS
from trainorder.storage.formats import size_text

RANKS = 0.5  # rank correlation from which on a map is said to show effects, as for `rank only`


def gains(r: Records) -> str:
    """What searched orders gain, and what is left of it in fresh retrainings."""
    curriculum, trainings = r.default["curriculum"], _groups(r)
    found, compute = curriculum["gains"], curriculum["compute"]
    return (
        f"**{_answer(trainings)}** In the default study, the winner gains "
        f"{number(found['random_mean']['in_spreads'])} spreads over the mean random order, and "
        f"{number(found['same_compute']['in_spreads'])} over the expected best of "
        f"{compute['random_orders_for_it']} random orders, which the same compute retrains. On "
        "held-out text that the search did not see, the gain at equal compute is, in nats, "
        f"{_fresh(trainings, 'text')}. With other initial weights, too, it is "
        f"{_fresh(trainings, 'weights')}"
    )


def _answer(trainings: Mapping[str, Record]) -> str:
    """Return whether the gains on other text and with other weights are above zero everywhere."""
    everywhere = all(
        is_above_zero(group["fresh"][kind]["same_compute"])
        for group in trainings.values()
        for kind in ("text", "weights")
    )
    return "Yes." if everywhere else "Partly."


def _fresh(trainings: Mapping[str, Record], kind: str) -> str:
    return "; ".join(
        f"{name}: {interval(group['fresh'][kind]['same_compute'])}"
        for name, group in trainings.items()
    )


def gains_by_training(r: Records) -> str:
    """What searched orders gain under other schedules."""
    parts = [
        f"{name}: {interval(group['gains']['same_compute'])} "
        f"({numbers(group['gains']['same_compute']['in_spreads'])} spreads)"
        for name, group in _groups(r).items()
    ]
    return (
        "Gain over the expected best of as many random orders as the same compute retrains, in "
        f"nats, mean of the seeds: {'; '.join(parts)}"
    )


def _groups(r: Records) -> dict[str, Record]:
    return applications_page.groups(_trainings(r))


def published_gains(r: Records) -> str:
    """The search of `make published`, with its costs."""
    cell = r.applied()
    costs = [part for name, part in cell["search_costs"].items() if name != "heuristic"]
    return (
        f"The winner is {number(cell['curriculum']['gains']['random_mean']['in_spreads'])} spreads "
        f"below the mean random order; {number(sum(cost['retrainings'] for cost in costs))} "
        f"retrainings, {short_number(sum(cost['seconds'] for cost in costs))} s, "
        f"{size_text(max(cost['peak_bytes'] for cost in costs))} of memory, "
        f"{size_text(sum(cost['bytes'] for cost in costs))} stored. A retraining takes "
        f"{short_number(cell['retraining_seconds'])} s"
    )


def positions(r: Records) -> str:
    """Where maps of positions agree with retraining."""
    presence = {
        name: [cell["memorization"]["agreement"]["own"]["presence"]["value"] for cell in cells]
        for name, cells in _by_schedule(r).items()
    }
    words = [f"{n}: {'yes' if min(v) >= RANKS else 'no'}" for n, v in presence.items()]
    scores = [f"{name}: {numbers(values)}" for name, values in presence.items()]
    return (
        f"**{'; '.join(words)}.** Rank correlation of the estimated and the true effect of a "
        f"unit's presence on its own loss, seed by seed. {'; '.join(scores)}. "
        "[All maps](#tables-and-figures)"
    )


def maps(r: Records) -> str:
    """How well maps of positions agree with retraining, in every training."""
    first = _trainings(r)["cells"][0]["memorization"]["agreement"]["own"]["presence"]
    parts = [f"{name}: {_map_scores(cells)}" for name, cells in _by_schedule(r).items()]
    return (
        "Rank correlation of the estimated and the true change of the loss on a unit, over "
        f"{first['n']} retrained cells of a map, seed by seed. {'. '.join(parts)}"
    )


def map_errors(r: Records) -> str:
    """The squared errors of maps beside those of no map."""
    parts = []
    for name, cells in _by_schedule(r).items():
        own = [cell["memorization"]["agreement"]["own"]["presence"] for cell in cells]
        parts.append(f"{name}: {numbers([score['relative_mse'] for score in own])}")
    return (
        "Squared error of the map of `presence` and the loss on a unit, divided by that of no map, "
        f"seed by seed; 1 is no better than no map. {'; '.join(parts)}"
    )


def _map_scores(cells: Sequence[Record]) -> str:
    """Return the agreement of maps by way of moving a unit, and what their estimator is worth."""
    scores = [cell["memorization"]["agreement"]["own"] for cell in cells]
    moves = [f"{move} {numbers([one[move]['value'] for one in scores])}" for move in MAPS]
    verdicts = [applications_page.maps_verdict(cell["curriculum"]["verdicts"]) for cell in cells]
    return f"{'; '.join(moves)} (their estimator: {', '.join(verdicts)})"


def _by_schedule(r: Records) -> dict[str, list[Record]]:
    """Return the studies of `make applications` with the method of `auto`, by schedule."""
    result: dict[str, list[Record]] = {}
    for cell in filter(applications_page.is_auto, _trainings(r)["cells"]):
        result.setdefault(cell["config"]["optimizer"]["schedule"], []).append(cell)
    return result


def presence(r: Records) -> str:
    """Presence against absence."""
    own = _trainings(r)["cells"][0]["memorization"]["agreement"]["own"]["presence"]
    return (
        "**Shown.** Under a cosine (seed 0), the estimated and the true effect of presence have a "
        f"rank correlation of {interval(own)}, n = {own['n']}. It is not recency: the effect is "
        "not largest for the units that were seen last ([the curve](positions.md#forgetting))"
    )


def _trainings(r: Records) -> Record:
    """Return the record of `make applications`."""
    if "cells" not in (record := r.page("applications")):
        raise MissingError("applications")  # measured by an earlier version
    return record


def downstream(r: Records) -> str:
    """How well orders are ranked by a task beside the loss, and what a search does to it."""
    cell = r.applied()
    task, choices = cell["task"], cell["config"]["multiple_choice"]
    names = [n for n in (cell["ladder"]["estimator"], PUBLISHED) if n in task["order_lds"]]
    parts = []
    for metric in [metric for metric in task["spread"] if "/" not in metric]:
        spread = task["spread"][metric]
        ranks = [f"{short(n)} {interval(task['order_lds'][n][metric])}" for n in names]
        parts.append(
            f"`{metric}` {number(spread['mean'])} ± {number(spread['std'])}, order-LDS "
            f"{', '.join(ranks)}, winner {_winner(cell, metric):+.1f} spreads"
        )
    return (
        f"**A task is ranked, too.** Over random orders (chance {number(1 / choices)}): "
        f"{'; '.join(parts)}. The search did not see the task"
    )


def _winner(cell: Record, metric: str) -> float:
    """Return how far the order that won the search is above the mean random order, in spreads."""
    spread, won = cell["task"]["spread"][metric], cell["curriculum"]["winner"]
    return float((cell["task"]["orders"][won][metric] - spread["mean"]) / spread["std"])


def poisoned(r: Records) -> str:
    """What a poisoned unit does at the positions where it was retrained."""
    record = r.page("poisoned")
    spread, accurate = record["spread"], record["accurate"]
    effects = [
        f"step {cell['step']} {number(cell['heldout']['true'] / spread)} "
        f"(estimated {number(cell['accurate']['heldout'] / spread)})"
        for cell in record["cells"]
    ]
    return (
        "Held-out loss beyond that of another unit in the same place, in spreads: "
        f"{', '.join(effects)}; one unit of one study, estimates by {short(accurate['estimator'])},"
        f" {accurate['verdict']}"
    )


def domain_last(r: Records) -> str:
    """Orders that put one domain last."""
    curriculum = r.applied()["curriculum"]
    random, last = curriculum["random"], []
    for order in curriculum["orders"]:
        is_last = order["name"].startswith("last-") or order["name"] == "domain-sorted"
        if is_last and order["true"] is not None:
            above = (order["true"] - random["mean"]) / random["std"]
            last.append(f"`{order['name']}` {number(above)}")
    if not last:
        raise MissingError("last-domain")
    return f"Whole domains in sequence, spreads above the mean random order: {', '.join(last)}"
