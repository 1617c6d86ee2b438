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
    value = two_decimals(score["value"])
    if score["value"] is None or score["low"] is None or score["high"] is None:
        return value
    return f"{value} [{two_decimals(score['low'])}, {two_decimals(score['high'])}]"


def two_decimals(value: float | None) -> str:
    """Return a correlation or a relative error.

    >>> two_decimals(0.2), two_decimals(-0.001), two_decimals(4676.7), two_decimals(None)
    ('0.20', '0.00', '4,677', 'undefined')
    """
    if value is None:
        return "undefined"
    if abs(value) >= 99.995:
        return f"{value:,.0f}".replace("-", "−")
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def gain_text(gain: Mapping[str, Any], confidence: float | None = None) -> str:
    """Return a gain in nats and spreads, with its interval in nats where it has one.

    Args:
        gain: with its `value`, and if they are known `in_spreads`, `low` and `high`.
        confidence: of the interval.

    >>> gain_text({"value": 0.0104, "in_spreads": 3.73})
    '0.010 nats per token (3.7 spreads)'
    >>> gain_text({"value": 0.0104, "low": 0.01, "high": 0.02}, 0.95)
    '0.010 nats per token (95 % interval 0.010 to 0.020)'
    """
    spreads = gain.get("in_spreads")  # of several studies a list, which is not shown
    parts = [f"{short(spreads)} spreads"] if isinstance(spreads, float) else []
    if gain.get("low") is not None and gain.get("high") is not None:
        level = "" if confidence is None else f"{100 * confidence:g} % "
        parts.append(f"{level}interval {nats(gain['low'])} to {nats(gain['high'])}")
    inside = f" ({'; '.join(parts)})" if parts else ""
    return f"{nats(gain['value'])} nats per token{inside}"
