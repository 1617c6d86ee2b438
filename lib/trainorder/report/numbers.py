"""Numbers as the report writes them."""

from collections.abc import Mapping
from typing import Any


def short(value: float | None) -> str:
    """Return a number with two digits and a minus sign, without an exponent where possible.

    >>> short(-0.00301), short(14.94), short(90.2), short(None)
    ('−0.003', '15', '90', 'unknown')
    """
    if value is None:
        return "unknown"
    text = f"{value:.2g}" if abs(value) < 99.5 else f"{value:,.0f}"
    return text.replace("-", "−")


def nats(value: float) -> str:
    """Return a loss or a difference of losses with two digits, zeros included.

    >>> nats(0.0104), nats(-0.003)
    ('0.010', '−0.0030')
    """
    return f"{value:#.2g}".removesuffix(".").replace("-", "−")


def with_interval(score: Mapping[str, Any]) -> str:
    """Return a value of `validation.json` or `memorization.json` with its interval.

    >>> with_interval({"value": 0.941, "low": 0.866, "high": 0.97})
    '0.94 [0.87, 0.97]'
    >>> with_interval({"value": None, "low": None, "high": None})
    'undefined'
    """
    if score["value"] is None:
        return "undefined"
    value = _two(score["value"])
    if score["low"] is None or score["high"] is None:
        return value
    return f"{value} [{_two(score['low'])}, {_two(score['high'])}]"


def _two(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def gain_text(gain: Mapping[str, Any]) -> str:
    """Return a gain in nats and spreads, with its interval in nats where it has one.

    >>> gain_text({"value": 0.0104, "in_spreads": 3.73})
    '0.010 nats per token (3.7 spreads)'
    """
    spreads = gain.get("in_spreads")  # of several studies a list, which is not shown
    parts = [f"{short(spreads)} spreads"] if isinstance(spreads, float) else []
    if gain.get("low") is not None and gain.get("high") is not None:
        parts.append(f"interval {nats(gain['low'])} to {nats(gain['high'])}")
    inside = f" ({'; '.join(parts)})" if parts else ""
    return f"{nats(gain['value'])} nats per token{inside}"
