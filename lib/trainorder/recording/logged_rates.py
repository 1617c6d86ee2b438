"""The learning rates in the log of a Trainer, by the step that used them.

Since transformers 4.51 (pull request 36973), the log after n updates has the rate of the last of
them, step n - 1. Before, the Trainer logged after the scheduler had moved on: the rate of step n.
"""

import re
from collections.abc import Mapping
from typing import Any

_FIRST = (4, 51)  # the version that logs the rate which an update has used
_ROUNDING = 1e-6  # relative difference up to which two rates count as equal


def rate_readings(
    trainer_state: Mapping[str, Any], stored: Mapping[int, float], version: str | None
) -> list[dict[int, float]]:
    """Return the possible learning rates by step, the most likely reading of the log first.

    A reading that contradicts a stored rate is omitted.

    Args:
        trainer_state: the content of `trainer_state.json`.
        stored: the rate of the update after each checkpoint, from its scheduler.
        version: of transformers in the run, for example `4.48.1`; None if it is unknown.

    Examples:
        >>> log = {"log_history": [{"step": 2, "learning_rate": 0.8}]}
        >>> rate_readings(log, {}, "4.48.1")
        [{2: 0.8}, {1: 0.8}]
        >>> rate_readings(log, {2: 0.7}, "4.48.1")
        [{1: 0.8, 2: 0.7}]

    """
    logged = _logged(trainer_state)
    readings = []
    for shift in (0, 1) if _logs_after(version) else (1, 0):
        sampled = {count - shift: rate for count, rate in logged.items() if count >= shift}
        if all(_equal(sampled[step], stored[step]) for step in sampled.keys() & stored.keys()):
            readings.append({**sampled, **stored})
    return readings


def tells_the_logged_step(version: str | None) -> bool:
    """Return whether a version of transformers is known, so that it decides between readings."""
    return _numbers(version) is not None


def _logged(trainer_state: Mapping[str, Any]) -> dict[int, float]:
    """Return the logged rates by the number of updates at which they were logged."""
    entries = trainer_state.get("log_history")
    return {
        int(entry["step"]): float(entry["learning_rate"])
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and {"step", "learning_rate"} <= entry.keys()
    }


def _logs_after(version: str | None) -> bool:
    numbers = _numbers(version)
    return numbers is not None and numbers < _FIRST


def _numbers(version: str | None) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", version or "")
    return (int(match[1]), int(match[2])) if match else None


def _equal(first: float, second: float) -> bool:
    return abs(first - second) <= _ROUNDING * max(abs(first), abs(second))
