"""What this project finds about the published study: sentences with numbers from the records."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from bench import applications_page, equal_compute_page
from bench.answers.records import MissingError, Records, first_of
from bench.page import NOT_MEASURED, interval, number, short_number
from bench.published_page import followed_estimators, mean_error, or_diverged
from bench.targets import estimators, selected
from trainorder.compression.codecs import PUBLISHED_RATIO
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.storage.formats import size_text

PUBLISHED, SECOND_ORDER = "fut@reference", "fut++@reference"
EXACT = ("taylor1@reference", "taylor1@barycentre")  # the same expansion, exact derivatives
OTHERS = ("adjoint@reference", "proxy", "ridge", "simfluence")  # influence methods and proxies

Record = Mapping[str, Any]
Find = Callable[[Records], str]


def text_of(find: Find, records: Records) -> str:
    """Return a finding, or that it is not measured."""
    try:
        return find(records)
    except MissingError:
        return NOT_MEASURED


def spread(r: Records) -> str:
    """How much the order matters."""
    default = r.default
    orders = [order for order in default["curriculum"]["orders"] if order["true"] is not None]
    worst = max(order["true"] for order in orders) - default["mean"]
    return (
        f"random orders differ by {number(default['spread'])} nats per token (standard deviation) "
        f"at a mean of {number(default['mean'])}; the worst heuristic order is "
        f"{number(worst / default['spread'])} standard deviations above the mean"
    )


def published_accuracy(r: Records) -> str:
    """How well the published method and ours rank orders."""
    name, ours = r.ours
    parts = [_ranked(n, r.estimator(n)) for n in (PUBLISHED, SECOND_ORDER)]
    return "; ".join([*parts, _ranked(name, ours)])


def _ranked(name: str, entry: Record) -> str:
    return (
        f"`{name}` order-LDS {interval(entry['order_lds'])}, relative error "
        f"{number(entry['relative_error'])}"
    )


def perplexities(r: Records) -> str:
    """Absolute differences of perplexity by window."""
    parts = []
    for cell in r.windows():
        errors = ", ".join(
            f"`{name}` {or_diverged(entry['perplexity_error'])}"
            for name, entry in cell["estimators"].items()
        )
        spread_text = number(cell["perplexity"]["std"])
        parts.append(f"T = {cell['steps']} (spread of orders {spread_text}): {errors}")
    return "; ".join(parts)


def stepwise_errors(r: Records) -> str:
    """How the error of the loss grows along the window."""
    cell = r.windows()[-1]
    parts = []
    followed = followed_estimators(cell["stepwise"])
    for name in [name for name in estimators(cell) if name in followed]:
        errors = [_mean_error(cell, name, part) for part in (1, 2, 3, 4)]
        parts.append(f"`{name}` {', '.join(map(or_diverged, errors))}")
    return (
        f"mean error of the loss after 1/4, 1/2, 3/4 and all of T = {cell['steps']} steps: "
        f"{'; '.join(parts)}; spread of random orders {number(cell['spread'])}"
    )


def _mean_error(cell: Record, name: str, quarter: int) -> float | None:
    return mean_error(cell["stepwise"], name, cell["steps"] * quarter // 4)


def precompute(r: Records) -> str:
    """What is computed once, and what an order costs."""
    name, ours = r.ours
    return "; ".join(
        _cost(n, entry) for n, entry in ((PUBLISHED, r.estimator(PUBLISHED)), (name, ours))
    )


def _cost(name: str, entry: Record) -> str:
    runs = EstimatorConfig.from_name(name).runs
    known = f" and {runs} calibration orders, which are retrained anyway" if runs else ""
    return (
        f"`{name}` precompute {number(entry['precompute_retrainings'])} retrainings{known}, then "
        f"{number(entry['per_order_retrainings'])} retrainings "
        f"({short_number(entry['seconds_per_order'])} s) per order, {size_text(entry['bytes'])}"
    )


def break_even(r: Records) -> str:
    """For how many orders the precompute pays, and what the estimates are then worth."""
    parts = []
    name, ours = r.ours
    for n, entry in ((PUBLISHED, r.estimator(PUBLISHED)), (name, ours)):
        least = entry["precompute_retrainings"] / (1 - entry["per_order_retrainings"])
        parts.append(
            f"`{n}` is cheaper than retraining from {math.ceil(least)} orders on, at an order-LDS "
            f"of {interval(entry['order_lds'])}"
        )
    return "; ".join(parts)


def time_and_memory(r: Records) -> str:
    """Time, memory and bytes in the longest measured window."""
    cell = r.windows()[-1]
    parts = [
        f"`{name}` {short_number(entry['precompute_seconds'])} s and then "
        f"{short_number(entry['seconds_per_order'])} s per order, "
        f"{size_text(entry['peak_bytes'])} of memory, {size_text(entry['bytes'])} stored"
        for name, entry in estimators(cell).items()
    ]
    return (
        f"T = {cell['steps']}, where a retraining takes {short_number(cell['retraining_seconds'])} "
        f"s: {'; '.join(parts)}"
    )


def gains(r: Records) -> str:
    """What searched orders gain."""
    curriculum = r.default["curriculum"]
    found, compute = curriculum["gains"], curriculum["compute"]
    return (
        f"the best searched order gains {number(found['random_mean']['value'])} nats per token "
        f"({number(found['random_mean']['in_spreads'])} spreads) over the mean random order, and "
        f"{number(found['same_compute']['in_spreads'])} spreads over the expected best of "
        f"{compute['random_orders_for_it']} random orders, which the same compute "
        f"({number(compute['total_retrainings'])} retrainings) retrains; all retrained"
    )


def gains_by_training(r: Records) -> str:
    """What searched orders gain under other schedules."""
    groups = applications_page.groups(_trainings(r))
    parts = [
        f"{name}: {', '.join(number(x) for x in group['gains']['same_compute']['in_spreads'])}"
        for name, group in groups.items()
    ]
    return f"gains over random orders of the same compute, in spreads, by study: {'; '.join(parts)}"


def published_gains(r: Records) -> str:
    """The search of `make published`, with its costs."""
    cell = r.applied()
    costs = [part for name, part in cell["search_costs"].items() if name != "heuristic"]
    return (
        f"winner {number(cell['curriculum']['gains']['random_mean']['in_spreads'])} spreads below "
        f"the mean random order, {number(sum(cost['retrainings'] for cost in costs))} retrainings, "
        f"{short_number(sum(cost['seconds'] for cost in costs))} s, "
        f"{size_text(max(cost['peak_bytes'] for cost in costs))} of memory, "
        f"{size_text(sum(cost['bytes'] for cost in costs))} stored"
    )


def maps(r: Records) -> str:
    """How well maps of positions agree with retraining."""
    return _maps(_first_maps(r)["agreement"], ("swap", "insertion"))


def presence(r: Records) -> str:
    """Presence against absence, and forgetting."""
    record = _first_maps(r)
    half = record["forgetting"]["all"]["half_life"]
    life = f"half-life {interval(half)} steps" if half["value"] else "no half-life in the window"
    return f"{_maps(record['agreement'], ('presence',))}; {life}"


def _first_maps(r: Records) -> Record:
    """Return the maps of the first training of `make applications`."""
    maps: Record = _trainings(r)["cells"][0]["memorization"]
    return maps


def _trainings(r: Records) -> Record:
    """Return the record of `make applications`."""
    if "cells" not in (record := r.page("applications")):
        raise MissingError("applications")  # measured by an earlier version
    return record


def _maps(agreement: Record, moves: Sequence[str]) -> str:
    own, same = agreement["own"], agreement["same"]
    return "; ".join(
        f"{move}: own loss {interval(own[move])} (squared error {number(own[move]['relative_mse'])}"
        f" of that of no map), held-out loss of the domain {interval(same[move])}, n = "
        f"{own[move]['n']}"
        for move in moves
    )


def projection(r: Records) -> str:
    """What a random projection preserves, and what it loses."""
    stores = r.default.get("stores", ())
    dense = [s for s in stores if s["store"] == "jl" and abs(s["ratio"] - PUBLISHED_RATIO) < 1]
    best = min(dense, key=lambda s: s["parameter_error"] or float("inf"), default=None)
    if best is None:
        raise MissingError("stores")
    return (
        f"at {PUBLISHED_RATIO} times fewer bytes, inner products have an error of "
        f"{number(best['inner_product_error'])}, but replays from the gradients that are read back "
        f"({best['read']}) a parameter error of {number(best['parameter_error'])} (1: as large as "
        "the effect of the order) and a loss error of "
        f"{number(best['loss_error_over_spread'])} spreads"
    )


def stored_terms(r: Records) -> str:
    """What is stored, and what a projection of it loses."""
    return f"{residual_bytes(r)}; {text_of(projection, r)}"


def residual_bytes(r: Records) -> str:
    """What is stored instead of projections."""
    name, ours = r.ours
    published = r.estimator(PUBLISHED)
    return (
        f"`{name}` reads {size_text(ours['bytes'])}, `{PUBLISHED}` {size_text(published['bytes'])} "
        "(path included, residuals in bytes, table in single precision)"
    )


def others(r: Records) -> str:
    """Influence methods and proxies, by order-LDS, and by LDS on leave-out orders."""
    entries = {name: r.default["estimators"].get(name) for name in OTHERS}
    orders = "; ".join(
        f"`{name}` order-LDS {interval(entry['order_lds'])}, precompute "
        f"{number(entry['precompute_retrainings'])}"
        for name, entry in entries.items()
        if entry is not None
    )
    return f"{orders}. At equal compute: {text_of(equal_compute, r)}. {text_of(left_out, r)}"


def equal_compute(r: Records) -> str:
    """Competing methods that use as many retrainings as `corrected`."""
    cell = equal_compute_page.comparison(r.page("transfer"))
    if cell is None:
        raise MissingError("equal compute")
    return "; ".join(
        f"`{name}` order-LDS {interval(entry['order_lds'])}, "
        f"{number(equal_compute_page.retrainings(name, entry))} retrainings in all"
        for name, entry in estimators(cell).items()
    )


def left_out(r: Records) -> str:
    """How influence methods and ours estimate leaving units out."""
    record = r.page("leave_out")
    scores = "; ".join(
        f"`{name}` {', '.join(number(score['lds']['value']) for score in groups.values())}"
        for name, groups in record["estimators"].items()
    )
    counts = ", ".join(str(group) for group in record["effects"])
    return f"LDS of leaving out {counts} of {record['units']} units: {scores}"


def secants(r: Records) -> str:
    """Secants against exact derivatives."""
    return "; ".join(
        f"`{name}` parameter error {or_diverged(r.estimator(name)['parameter_error']['mean'])}"
        for name in (PUBLISHED, "fut-unguarded@reference", *EXACT)
    )


def paths(r: Records) -> str:
    """The expansion about the reference, about the barycentre, and without an expansion."""
    name, ours = r.ours
    entries = [*((n, r.estimator(n)) for n in EXACT), (name, ours)]
    return "parameter error at the end: " + ", ".join(
        f"`{n}` {number(entry['parameter_error']['mean'])}" for n, entry in entries
    )


def transfer(r: Records) -> str:
    """Other corpora and models."""
    rows = [cell for cell in r.rows() if selected(cell)]
    corpora = [cell for cell in rows if cell["values"]["group"] == "other corpora"]
    ranks = [_selected(cell)["order_lds"]["value"] for cell in corpora]
    if not corpora:
        raise MissingError("corpora")
    trusted = sum(_selected(cell)["verdict"] == "trusted" for cell in corpora)
    text = (
        f"{len(corpora)} other corpora: order-LDS {number(min(ranks))} to {number(max(ranks))}, "
        f"{trusted} trusted"
    )
    return f"{text}; wider model: {text_of(wider, r)}; SmolLM2-135M: {text_of(pretrained, r)}"


def wider(r: Records) -> str:
    """The wider model."""
    return _row(r, "wider, its best rate")


def pretrained(r: Records) -> str:
    """The pretrained model."""
    cell = first_of([cell for cell in r.rows("pretrained") if selected(cell)])
    return f"order-LDS {interval(_selected(cell)['order_lds'])}"


def _selected(cell: Record) -> Record:
    chosen = selected(cell)
    assert chosen is not None
    return chosen[1]


def _row(r: Records, label: str) -> str:
    cell = first_of([cell for cell in r.rows() if cell["label"] == label and selected(cell)])
    entry = _selected(cell)
    return (
        f"order-LDS {interval(entry['order_lds'])} at {number(entry['per_order_retrainings'])} "
        "retrainings per order"
    )


def longer_windows(r: Records) -> str:
    """Longer windows."""
    labels = ("T = 64", "T = 128", "T = 256")
    return "; ".join(f"{label}: {text_of(partial(_row, label=label), r)}" for label in labels)


def batches(r: Records) -> str:
    """Larger batches."""
    labels = ("256 sequences per step", "1,024 sequences per step, T = 16")
    return "; ".join(f"{label}: {text_of(partial(_row, label=label), r)}" for label in labels)


def schedules(r: Records) -> str:
    """Other schedules and starts: where errors grow."""
    rows = [c for c in r.rows() if c["values"]["group"] == "schedule and start" and selected(c)]
    if not rows:
        raise MissingError("schedules")
    return "; ".join(
        f"{cell['label']}: growth {number(cell['growth']['value'])}, order-LDS "
        f"{number(_selected(cell)['order_lds']['value'])}, {_selected(cell)['verdict']}"
        for cell in rows
    )


def growth(r: Records) -> str:
    """Growth of a perturbation over the window."""
    return f"default study: {interval(r.default['growth'])}; {schedules(r)}"


def relative(r: Records) -> str:
    """Absolute against relative errors."""
    cell = r.windows()[-1]
    entries = cell["estimators"]
    parts = [
        f"`{name}` {or_diverged(entries[name]['perplexity_error'])} in perplexity, relative error "
        f"{number(entries[name]['relative_error'])}"
        for name in ("constant@reference", PUBLISHED)
        if name in entries
    ]
    return f"T = {cell['steps']}: {'; '.join(parts)}"


def downstream(r: Records) -> str:
    """How well orders are ranked by a task beside the loss."""
    task = r.applied()["task"]
    metric, spread = next(iter(task["spread"].items()))
    ranks = "; ".join(
        f"`{name}` {interval(scores[metric])}" for name, scores in task["order_lds"].items()
    )
    return (
        f"`{metric}` over random orders {number(spread['mean'])} ± {number(spread['std'])}; "
        f"order-LDS: {ranks}"
    )


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
        "held-out loss beyond that of another unit in the same place, in spreads: "
        f"{', '.join(effects)}; estimates by `{accurate['estimator']}`, {accurate['verdict']}"
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
    return f"spreads above the mean random order: {', '.join(last)}"


def several_epochs(r: Records) -> str:
    """Orders of several epochs."""
    return _row(r, "two epochs, T = 64")
