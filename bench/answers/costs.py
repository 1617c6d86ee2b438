"""What estimates cost here and with the published method: answers from the records."""

from bench.answers.records import MissingError, Records
from bench.answers.words import PUBLISHED, Record, short, text_of
from bench.page import interval, number, short_number
from bench.targets import estimators, selected
from trainorder.compression.codecs import PUBLISHED_RATIO
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.storage.formats import size_text


def efficiency(r: Records) -> str:
    """What is computed once, and what an order costs."""
    name, ours = r.ours
    entries = {PUBLISHED: r.estimator(PUBLISHED), name: ours}
    return f"**After a precompute.** {'; '.join(_cost(n, e) for n, e in entries.items())}"


def _cost(name: str, entry: Record) -> str:
    return (
        f"{short(name)}: {_once(name, entry)}; then {number(entry['per_order_retrainings'])} "
        f"retrainings ({short_number(entry['seconds_per_order'])} s) per order, "
        f"{size_text(entry['bytes'])}"
    )


def _once(name: str, entry: Record) -> str:
    """Return what is paid before the first estimate."""
    parts = [f"{number(entry['precompute_retrainings'])} retrainings"]
    if entry["selection_retrainings"]:
        parts.append(f"{number(entry['selection_retrainings'])} to choose its size")
    if runs := EstimatorConfig.from_name(name).runs:
        parts.append(f"{runs} calibration orders as known runs")
    return ", ".join(parts)


def break_even(r: Records) -> str:
    """For how many orders the precompute pays, and what the estimates are then worth."""
    name, ours = r.ours
    calibration = r.default["config"]["orders"]["calibration"]
    parts = [
        f"{short(n)} {_from(entry['break_even'])} (order-LDS {interval(entry['order_lds'])})"
        for n, entry in {PUBLISHED: r.estimator(PUBLISHED), name: ours}.items()
    ]
    return (
        f"With the {calibration} calibration orders, which the verdict needs, estimates cost less "
        f"than retraining: {'; '.join(parts)}"
    )


def _from(orders: int | None) -> str:
    return "never" if orders is None else f"from {orders} further orders on"


def estimation_stage(r: Records) -> str:
    """What an estimate costs beside a retraining, in arithmetic and in time."""
    rows = [chosen[1] for cell in r.rows() if (chosen := selected(cell))]
    if not rows:
        raise MissingError("rows")
    shares = [entry["per_order_retrainings"] for entry in rows]
    return (
        f"**In arithmetic yes, in time not always.** An estimate by `corrected` takes "
        f"{number(min(shares))} to {number(max(shares))} of a retraining in the rows of the "
        f"benchmark. With SmolLM2-135M: {text_of(_pretrained_seconds, r)}"
    )


def _pretrained_seconds(r: Records) -> str:
    cells = [(cell, chosen[1]) for cell in r.rows("pretrained") if (chosen := selected(cell))]
    if not cells:
        raise MissingError("pretrained")
    return "; ".join(
        f"{cell['label']}: {short_number(entry.get('seconds_per_order'))} s where a retraining "
        f"takes {short_number(cell['retraining_seconds'])} s"
        for cell, entry in cells
    )


def time_and_memory(r: Records) -> str:
    """Time, memory and bytes in the longest measured window."""
    cell = r.windows()[-1]
    parts = [
        f"{short(name)} {short_number(entry['precompute_seconds'])} s and then "
        f"{short_number(entry['seconds_per_order'])} s per order (counted: "
        f"{number(entry['per_order_retrainings'])} retrainings), "
        f"{size_text(entry['peak_bytes'])} of memory, {size_text(entry['bytes'])} stored"
        for name, entry in estimators(cell).items()
    ]
    return (
        f"T = {cell['steps']}, where a retraining takes {short_number(cell['retraining_seconds'])} "
        f"s: {'; '.join(parts)}"
    )


def projection(r: Records) -> str:
    """What a random projection preserves, and what it loses."""
    stores = r.default.get("stores", ())
    dense = [s for s in stores if s["store"] == "jl" and abs(s["ratio"] - PUBLISHED_RATIO) < 1]
    best = min(dense, key=lambda s: s["parameter_error"] or float("inf"), default=None)
    if best is None:
        raise MissingError("stores")
    return (
        f"**Not what replays need.** At {PUBLISHED_RATIO} times fewer bytes, inner products have "
        f"an error of {number(best['inner_product_error'])}. Gradients that are read back "
        f"({best['read']}) and replayed by `order0` end with a parameter error of "
        f"{number(best['parameter_error'])} (1: as large as the effect of the order) and a loss "
        f"that is {number(best['loss_error'])} nats, or "
        f"{number(best['loss_error'] / r.default['spread'])} spreads, from that of the whole table"
    )


def stored_terms(r: Records) -> str:
    """What is stored instead of projections."""
    name, ours = r.ours
    published = r.estimator(PUBLISHED)
    return (
        f"{short(name)} reads {size_text(ours['bytes'])}, {short(PUBLISHED)} "
        f"{size_text(published['bytes'])} (path included, residuals in bytes, table in single "
        "precision). What a projection loses: [above](#what-the-abstract-says)"
    )
