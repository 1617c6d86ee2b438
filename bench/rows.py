"""The rows of the benchmark: one per target, by seed and averaged over seeds.

All numbers come from the result files of the studies. The reported estimator is chosen by its
calibration orders and its cost only; random orders are used only to report it.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.choice import Studies, best_within
from bench.numbers import (
    Drawn,
    Number,
    covered,
    domains,
    main_metric,
    mean_of,
    median_rank,
    over_seeds,
    spread,
)
from trainorder.evaluation.results import Results

CHOSEN = "nystrom@barycentre"  # the recommended estimator for a new study
YARDSTICK = "taylor1@barycentre"
REDUCED = "reduced@barycentre"
CHEAP, SUBSAMPLED = 1 / 20, 1 / 4  # largest cost per order, in retrainings
GROWTH = 1.1  # factor that one more anchor may add to a cost
BYTES = 4  # per number of the gradient table


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: what is measured.
        estimator: the measured estimator; empty if there is none.
        studies: the number of each study in the mean.
        mean: the mean over these studies.
        beside: numbers of studies that are not in the mean.
        target: the target as text.
        passed: whether the target is met; None if a number is missing.
        note: a remark.

    """

    name: str
    estimator: str
    studies: dict[str, Number]
    mean: Number
    target: str
    passed: bool | None
    beside: dict[str, Number] = field(default_factory=dict)
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return asdict(self)


Statistic = Callable[[Results, int], Drawn]
Metrics = Callable[[Results], list[str]]


def statistic_row(
    name: str,
    estimator: str | None,
    seeds: Studies,
    beside: Studies,
    statistic: Statistic,
    metrics: Metrics,
    target: str,
    holds: Callable[[float], bool],
    note: str = "",
) -> Row:
    """Return the row of a statistic over random orders; empty without an estimator."""
    if estimator is None:
        return Row(name, "", {}, Number(None, n=0), target, False, note=note)
    spreads = {study: spread(results, metrics(results)) for study, results in seeds.items()}
    drawn = {study: statistic(results, i) for i, (study, results) in enumerate(seeds.items())}
    others = {
        study: statistic(results, len(seeds) + i).number(spread(results, metrics(results)))
        for i, (study, results) in enumerate(beside.items())
        if estimator in results.estimators
    }
    mean = over_seeds(drawn, spreads)
    return Row(
        name,
        estimator,
        {study: part.number(spreads[study]) for study, part in drawn.items()},
        mean,
        target,
        mean.value is not None and holds(mean.value),
        others,
        note,
    )


def rank_row(
    name: str,
    estimator: str | None,
    seeds: Studies,
    beside: Studies,
    metrics: Metrics,
    least: float,
    note: str = "",
) -> Row:
    """Return the row of an order-LDS, whose target is at least `least`."""

    def statistic(results: Results, stream: int) -> Drawn:
        return median_rank(results, str(estimator), metrics(results), stream)

    return statistic_row(
        name, estimator, seeds, beside, statistic, metrics, f"at least {least:g}",
        lambda value: value >= least, note,
    )  # fmt: skip


def coverage_row(estimator: str | None, seeds: Studies, beside: Studies) -> Row:
    """Return the row of the coverage of the estimates' intervals."""

    def statistic(results: Results, stream: int) -> Drawn:
        return covered(results, str(estimator), stream)

    return statistic_row(
        "coverage of the 90 % intervals on random orders, over all metrics", estimator, seeds,
        beside, statistic, main_metric, "0.85 to 0.97", lambda value: 0.85 <= value <= 0.97,
    )  # fmt: skip


def plain_row(
    name: str,
    estimator: str,
    seeds: Mapping[str, float | None],
    beside: Mapping[str, float | None],
    target: str,
    passed: bool | None,
    note: str = "",
) -> Row:
    """Return the row of a measured quantity; its interval is the range over the studies."""
    known = [value for value in seeds.values() if value is not None]
    low, high = (min(known), max(known)) if known else (None, None)
    return Row(
        name,
        estimator,
        {study: Number(value) for study, value in seeds.items()},
        Number(mean_of(seeds.values()), low, high, len(known)),
        target,
        passed,
        {study: Number(value) for study, value in beside.items()},
        note,
    )


def precompute(results: Results, estimator: str = CHOSEN) -> float | None:
    """Return the precompute of an estimator, in retrainings."""
    if estimator not in results.estimators:
        return None
    return float(results.score(estimator)["cost"]["precompute_retrainings"])


def precompute_row(seeds: Studies, beside: Studies, longer: str) -> Row:
    """Return the row of the precompute, compared with a study of twice the window."""
    by_seed = {study: precompute(results) for study, results in seeds.items()}
    others = {study: precompute(results) for study, results in beside.items()}
    mean, long = mean_of(by_seed.values()), others.get(longer)
    passed = None
    if mean is not None and long is not None:
        passed = max(mean, long) <= 40 and long <= GROWTH * mean
    return plain_row(
        f"precomputation in retrainings, `{longer}` beside", CHOSEN, by_seed, others,
        "at most 40, and not growing with T", passed,
        f"not growing: at the longer window at most {GROWTH:g} times the mean",
    )  # fmt: skip


def store_share(results: Results, estimator: str = CHOSEN) -> float | None:
    """Return the bytes that an estimator stores, divided by those of T x U gradients."""
    if estimator not in results.estimators:
        return None
    units = results.validation["provenance"]["config"]["window"]["units"]
    raw = results.steps * units * results.validation["parameters"] * BYTES
    return float(results.score(estimator)["cost"]["bytes"] / raw)


def store_row(seeds: Studies, beside: Studies) -> Row:
    """Return the row of the store's size."""
    by_seed = {study: store_share(results) for study, results in seeds.items()}
    others = {study: store_share(results) for study, results in beside.items()}
    mean = mean_of(by_seed.values())
    return plain_row(
        "bytes of the store, by those of the raw table of T × U gradients", CHOSEN, by_seed, others,
        "at most 1/20", None if mean is None else mean <= 1 / 20,
    )  # fmt: skip


def speed_row(study: str, per_second: float | None) -> Row:
    """Return the row of the reduced model's speed."""
    return plain_row(
        "schedules per second on 2 cores", REDUCED, {study: per_second}, {}, "at least 5,000",
        None if per_second is None else per_second >= 5000,
    )  # fmt: skip


def all_rows(seeds: Studies, beside: Studies, longer: str, per_second: float | None) -> list[Row]:
    """Return every row.

    Args:
        seeds: the studies of the mean, which differ in their seeds; speed was measured on the
            first one.
        beside: other studies, by name.
        longer: the study of `beside` whose window is twice as long.
        per_second: schedules per second of the reduced model.

    """
    cheap = best_within(seeds, CHEAP)
    sampled = best_within(seeds, SUBSAMPLED, ["subsample"])
    yardstick = YARDSTICK if all(YARDSTICK in r.estimators for r in seeds.values()) else None
    chosen = "chosen by calibration orders"
    wanted = "order-LDS of `heldout`"
    return [
        rank_row(
            f"{wanted}: best estimator at 1/20 of a retraining an order", cheap, seeds, beside,
            main_metric, 0.92, chosen,
        ),
        rank_row(
            "the same on each single domain, median over domains", cheap, seeds, beside,
            domains, 0.85,
        ),
        rank_row(
            f"{wanted}: `subsample` at 1/4 of a retraining an order", sampled, seeds, beside,
            main_metric, 0.95, chosen if sampled else "none costs at most 1/4 of a retraining",
        ),
        rank_row(
            f"{wanted}: yardstick, order 1 exact", yardstick, seeds, beside, main_metric, 0.95
        ),
        precompute_row(seeds, beside, longer),
        store_row(seeds, beside),
        coverage_row(cheap, seeds, beside),
        speed_row(next(iter(seeds)), per_second),
    ]  # fmt: skip
