"""How well orders are ranked here and by the published method: answers from the records."""

from functools import partial

from bench import equal_compute_page
from bench.answers.records import MissingError, Records, first_of
from bench.answers.words import (
    PUBLISHED,
    SECOND_ORDER,
    Record,
    rank,
    short,
    text_of,
)
from bench.page import interval, is_above_zero, number, numbers
from bench.published_page import followed_estimators, mean_error, or_diverged
from bench.targets import estimators, selected

EXACT = ("taylor1@reference", "taylor1@barycentre")  # the same expansion, exact derivatives
TWO_EPOCHS = "two epochs of 32 units"
LONGER = ("T = 64", "T = 128", "T = 256")
BATCHES = ("256 sequences per step", "1,024 sequences per step, T = 16")


def spread(r: Records) -> str:
    """How much the order matters."""
    default = r.default
    orders = [order for order in default["curriculum"]["orders"] if order["true"] is not None]
    worst = max(order["true"] for order in orders) - default["mean"]
    distance = worst / default["spread"]
    return (
        f"**{'Yes' if distance > 2 else 'Hardly'}.** Random orders differ by "
        f"{number(default['spread'])} nats per token (standard deviation) at a mean of "
        f"{number(default['mean'])}; the worst heuristic order is {number(distance)} standard "
        "deviations above the mean"
    )


def published_accuracy(r: Records) -> str:
    """How well the published method and ours rank orders."""
    name, ours = r.ours
    published = {n: r.estimator(n) for n in (PUBLISHED, SECOND_ORDER)}
    can = any(is_above_zero(entry["order_lds"]) for entry in published.values())
    parts = [f"{short(n)} {rank(entry)}" for n, entry in {**published, name: ours}.items()]
    return (
        f"**{short(name)}: {'yes' if is_above_zero(ours['order_lds']) else 'no'}. Our reading of "
        f"the published method: {'in part' if can else 'no, its ranking is chance'}.** Order-LDS: "
        f"{'; '.join(parts)}. Relative error of {short(name)}: {number(ours['relative_error'])}"
    )


def perplexities(r: Records) -> str:
    """Absolute differences of perplexity by window, beside relative errors."""
    cells = r.windows()
    names = [n for n in cells[0]["estimators"] if all(n in cell["estimators"] for cell in cells)]
    parts = [
        f"{short(name)} {', '.join(or_diverged(e['perplexity_error']) for e in entries)} "
        f"(relative error {numbers([e['raw_relative_error'] for e in entries])})"
        for name in names
        for entries in [[cell["estimators"][name] for cell in cells]]
    ]
    return (
        f"At T = {', '.join(str(cell['steps']) for cell in cells)}, where random orders differ by "
        f"{numbers([cell['perplexity']['std'] for cell in cells])}: {'; '.join(parts)}. Here the "
        f"relative error is that of raw estimates.{_interpolated(cells)}"
    )


def _interpolated(cells: list[Record]) -> str:
    """Return in which windows the published method's table is interpolated."""
    anchors = {cell["steps"]: cell["config"]["expansion"]["anchors"] for cell in cells}
    fewer = {t: k for t, k in anchors.items() if isinstance(k, int) and k < t}
    if not fewer:
        return ""
    return (
        f" At T = {', '.join(map(str, fewer))} its table is computed at {max(fewer.values())} "
        "steps and interpolated"
    )


def stepwise_errors(r: Records) -> str:
    """How the error of the loss grows along the window."""
    most = max(len(cell["stepwise"]) for cell in r.windows())
    cell = [cell for cell in r.windows() if len(cell["stepwise"]) == most][-1]
    parts = []
    followed = followed_estimators(cell["stepwise"])
    for name in [name for name in cell["estimators"] if name in followed]:
        errors = [_mean_error(cell, name, part) for part in (1, 2, 3, 4)]
        parts.append(f"{short(name)} {', '.join(map(or_diverged, errors))}")
    return (
        f"Mean error of the loss after 1/4, 1/2, 3/4 and all of T = {cell['steps']} steps, over "
        f"{most} orders: {'; '.join(parts)}. Random orders differ by {number(cell['spread'])}. "
        "[The curves](measured/published.md#loss-after-every-step)"
    )


def _mean_error(cell: Record, name: str, quarter: int) -> float | None:
    return mean_error(cell["stepwise"], name, cell["steps"] * quarter // 4)


def relative(r: Records) -> str:
    """Absolute against relative errors."""
    cell = r.windows()[-1]
    entry, constant = (cell["estimators"][n] for n in (PUBLISHED, "constant@reference"))
    return (
        f"**It does.** At T = {cell['steps']}, {short(PUBLISHED)} misses the perplexity by "
        f"{or_diverged(entry['perplexity_error'])} on average. Orders differ by "
        f'{number(cell["perplexity"]["std"])}, and "the order has no effect" misses by '
        f"{or_diverged(constant['perplexity_error'])}. Its relative error is "
        f"{number(entry['raw_relative_error'])}"
    )


def others(r: Records) -> str:
    """Influence methods and proxies, by order-LDS, and by LDS on leave-out orders."""
    return f"{text_of(equal_compute, r)}. {text_of(left_out, r)}"


def equal_compute(r: Records) -> str:
    """Competing methods that use as many retrainings as `corrected`."""
    cell = equal_compute_page.comparison(r.page("transfer"))
    if cell is None:
        raise MissingError("equal compute")
    ranked = "; ".join(
        f"`{name}` {interval(entry['order_lds'])} "
        f"({number(equal_compute_page.retrainings(name, entry))})"
        for name, entry in estimators(cell).items()
    )
    return f"Order-LDS at equal compute (retrainings in all): {ranked}"


def left_out(r: Records) -> str:
    """How influence methods and ours estimate leaving units out."""
    record = r.page("leave_out")
    ours, _ = r.ours
    chosen = [n for n in record["estimators"] if n == ours or n.startswith("adjoint")]
    scores = "; ".join(
        f"`{name}` {numbers([score['lds']['value'] for score in groups.values()])}"
        for name in chosen
        for groups in [record["estimators"][name]]
    )
    counts = ", ".join(str(group) for group in record["effects"])
    return f"LDS of leaving out {counts} of {record['units']} units: {scores}"


def secants(r: Records) -> str:
    """Secants against exact derivatives."""
    parts = "; ".join(_parameter_error(n, r.estimator(n)) for n in (PUBLISHED, *EXACT))
    return (
        f"**They are a likely cause, which this does not prove.** Parameter error: {parts}. "
        f"{short(EXACT[0])} has exact derivatives, and also its own moments"
    )


def _parameter_error(name: str, entry: Record) -> str:
    error = entry["parameter_error"]
    return f"`{name}` {or_diverged(error['mean'])} (n = {error['n']})"


def paths(r: Records) -> str:
    """The expansion about the reference, about the barycentre, and without an expansion."""
    name, ours = r.ours
    entries = {**{n: r.estimator(n) for n in EXACT}, name: ours}
    parts = [
        f"{_parameter_error(n, entry)} at {number(entry['per_order_retrainings'])} retrainings "
        "per order"
        for n, entry in entries.items()
    ]
    return (
        "**Measured, not removed.** Parameter error at the end (1: as large as the effect of the "
        f"order): {'; '.join(parts)}, enough for an order-LDS of {number(_value(ours))}"
    )


def _value(entry: Record) -> float | None:
    value: float | None = entry["order_lds"]["value"]
    return value


def transfer(r: Records) -> str:
    """Other corpora and models."""
    rows = [cell for cell in r.rows() if selected(cell)]
    corpora = [cell for cell in rows if cell["values"]["group"] == "other corpora"]
    if not corpora:
        raise MissingError("corpora")
    return (
        f"**Partly: no other architecture.** {len(corpora)} other corpora: {_range(corpora)}; "
        f"wider model: {text_of(partial(_row, label='wider, its best rate'), r)}; "
        f"SmolLM2-135M: {text_of(pretrained, r)}"
    )


def _range(cells: list[Record]) -> str:
    """Return the range of the order-LDS of some rows, and how many are trusted."""
    entries = [_selected(cell) for cell in cells]
    ranks = [entry["order_lds"]["value"] for entry in entries]
    trusted = sum(entry["verdict"] == "trusted" for entry in entries)
    return f"order-LDS {number(min(ranks))} to {number(max(ranks))}, {trusted} trusted"


def pretrained(r: Records) -> str:
    """The pretrained model."""
    cells = [cell for cell in r.rows("pretrained") if selected(cell)]
    if not cells:
        raise MissingError("pretrained")
    orders = min(_selected(cell)["order_lds"]["n"] for cell in cells)
    return f"{len(cells)} rows of {orders} orders, {_range(cells)}"


def _selected(cell: Record) -> Record:
    chosen = selected(cell)
    assert chosen is not None
    return chosen[1]


def _row(r: Records, label: str) -> str:
    cell = first_of([cell for cell in r.rows() if cell["label"] == label and selected(cell)])
    return _ended(_selected(cell))


def _ended(entry: Record) -> str:
    return (
        f"order-LDS {rank(entry)}, {entry['verdict']}, at "
        f"{number(entry['per_order_retrainings'])} retrainings per order"
    )


def longer_windows(r: Records) -> str:
    """Longer windows."""
    parts = [f"{label}: {text_of(partial(_row, label=label), r)}" for label in LONGER]
    return f"**256 is the longest here, too.** {'; '.join(parts)}"


def batches(r: Records) -> str:
    """Larger batches."""
    _, ours = r.ours
    unit = r.default["config"]["window"]["unit_size"]
    parts = [f"{label}: {text_of(partial(_row, label=label), r)}" for label in BATCHES]
    return f"{unit} sequences per step: {_ended(ours)}; {'; '.join(parts)}"


def schedules(r: Records) -> str:
    """Other schedules and starts: where errors grow."""
    rows = [c for c in r.rows() if c["values"]["group"] == "schedule and start" and selected(c)]
    if not rows:
        raise MissingError("schedules")
    return "; ".join(
        f"{cell['label']}: {number(cell['growth']['value'])}-fold, order-LDS "
        f"{number(_value(_selected(cell)))}, {_selected(cell)['verdict']}"
        for cell in rows
    )


def growth(r: Records) -> str:
    """Growth of a perturbation over the window."""
    _, ours = r.ours
    return (
        f"**Partly.** A small change grows {interval(r.default['growth'])}-fold over the default "
        f"window, order-LDS {number(_value(ours))}, {ours['verdict']}; {schedules(r)}. How well "
        "growth forecasts the accuracy: [predictability](predictability.md)"
    )


def several_epochs(r: Records) -> str:
    """Orders of several epochs."""
    return f"{TWO_EPOCHS[0].upper()}{TWO_EPOCHS[1:]}: {_row(r, TWO_EPOCHS)}"
