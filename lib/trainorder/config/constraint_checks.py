"""Checks of `curriculum.pinned` and `curriculum.quotas` that need no data."""

from collections import Counter
from collections.abc import Sequence

from trainorder.config.sections.curriculum import CurriculumConfig, Pin, QuotaConfig
from trainorder.config.sections.window import WindowConfig


def check_constraints(curriculum: CurriculumConfig, window: WindowConfig) -> None:
    """Check that pins and quotas name units and steps of the window, and leave enough room.

    Raises:
        ValueError: the first entry that no order can meet.

    """
    _check_pins(curriculum.pinned, window)
    for i, quota in enumerate(curriculum.quotas):
        _check_quota(f"curriculum.quotas[{i}]", quota, window)
    _check_quotas_together(curriculum.quotas, window)


def _check_pins(pins: Sequence[Pin], window: WindowConfig) -> None:
    steps: dict[int, int] = {}  # of each pinned unit
    for i, pin in enumerate(pins):
        key = f"curriculum.pinned[{i}]"
        for name, count in (("unit", window.units), ("step", window.steps)):
            index = getattr(pin, name)
            if index >= count:
                raise ValueError(
                    f"{key}: {name} {index} does not exist; use a {name} from 0 to {count - 1}"
                )
        unit, step = pin.unit, pin.step
        if unit in steps:
            raise ValueError(
                f"{key}: unit {unit} is pinned twice, to steps {steps[unit]} and {step}; "
                "remove one of the two entries"
            )
        steps[unit] = step
    for step, count in Counter(steps.values()).items():
        if count > window.units_per_step:
            raise ValueError(
                f"curriculum.pinned: {count} units are pinned to step {step}, but a step "
                f"consumes {window.units_per_step} (window.units_per_step); pin fewer units to it"
            )


def _check_quota(key: str, quota: QuotaConfig, window: WindowConfig) -> None:
    first, last = quota.first, quota.last
    least, most = quota.least, quota.most
    if last >= window.steps or first > last:
        raise ValueError(
            f"{key}: steps {first} to {last} are not a span of the window; "
            f"first must not be larger than last, and last at most {window.steps - 1}"
        )
    if most is not None and least > most:
        raise ValueError(
            f"{key}: least {least} is larger than most {most}; lower least or raise most"
        )
    places = _places(first, last, window)
    if least > places:
        raise ValueError(
            f"{key}: least {least} is larger than the {places} places in steps {first} to "
            f"{last}; lower it or widen the span"
        )


def _check_quotas_together(quotas: Sequence[QuotaConfig], window: WindowConfig) -> None:
    """Check each span that begins with one quota and ends with one: it must have enough places."""
    for first in sorted({quota.first for quota in quotas}):
        for last in sorted({quota.last for quota in quotas if quota.last >= first}):
            least: dict[str, int] = {}  # units that must be inside, by domain
            for quota in quotas:
                if first <= quota.first and quota.last <= last:
                    domain = quota.domain
                    least[domain] = max(least.get(domain, 0), quota.least)
            total, places = sum(least.values()), _places(first, last, window)
            if total > places:
                raise ValueError(
                    f"curriculum.quotas: {' and '.join(least)} together need at least "
                    f"{total} places in steps {first} to {last}, which have {places}; lower least"
                )


def _places(first: int, last: int, window: WindowConfig) -> int:
    """Return how many units the steps `first` to `last`, both included, consume."""
    return (last - first + 1) * window.units_per_step
