"""Predictability: how much small changes grow over the window, measured before the estimates.

`perturbed_training` measures it, rule `predictability` writes it to `predictability.json`, and
everything that shows it reads it with `Predictability.of`. Nothing here imports torch.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trainorder.errors import UserError
from trainorder.evaluation import result_files
from trainorder.numerics.resampling import Interval, finite, student_mean

# Set with three trainings (a cosine, a constant rate, a start from scratch). Docs page
# `predictability` has further studies, which did not change them.
PREDICTABLE_GROWTH, UNPREDICTABLE_GROWTH = 1.2, 10.0
# What follows the class says what growth says. Verdicts are those of `measured_studies`.
_GROWING = (
    "expansions around one path often fail, estimators with known runs can still rank orders; "
    "check each verdict"
)
PREDICTABLE = f"predictable: small changes shrink, or grow at most {PREDICTABLE_GROWTH:g}-fold"
HARD = f"hard: small changes may grow up to {UNPREDICTABLE_GROWTH:g}-fold; {_GROWING}"
UNPREDICTABLE = (
    f"unpredictable: small changes grow more than {UNPREDICTABLE_GROWTH:g}-fold; {_GROWING}"
)
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Response:
    """How training responds to a change of the parameters in one direction d.

    Attributes:
        size: |d|, the norm of what a random order changes in its first steps.
        factor: e, the small change relative to d.
        growth: |response to e d| / |e d|; infinite if a training diverged.
        linearity: the cosine of the responses to d and to e d after a third of the window; None if
            a response is 0 or not finite.

    """

    size: float
    factor: float
    growth: float
    linearity: float | None


@dataclass(frozen=True)
class Predictability:
    """How predictable a training is.

    Attributes:
        growth: geometric mean over directions, with Student's interval of the mean logarithm; the
            value is None if a perturbed training diverged, or if no order changes anything.
        linearity: mean over the directions in which it was measured, with Student's interval.
        expectation: the class of the growth, and what it means for estimates, in words.
        reason: why growth has no value; None if it has one.
        retrainings: what the measurement cost.

    """

    growth: Interval
    linearity: Interval
    expectation: str
    reason: str | None
    retrainings: float

    @classmethod
    def of(cls, record: Any) -> "Predictability":
        """Return the predictability in the content of `predictability.json`.

        The field `predictability` of `validation.json` has the same form.

        Raises:
            UserError: a field is missing or malformed.

        """
        try:
            return cls(
                Interval(**record["growth"]),
                Interval(**record["linearity"]),
                str(record["expectation"]),
                record["reason"],
                float(record["cost"]["retrainings"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            file = result_files.PREDICTABILITY
            raise UserError(
                f"{file.name}: a field is missing or malformed ({error!r}); "
                f"rerun rule `{file.rule}`"
            ) from None

    def as_text(self) -> str:
        """Return growth, linearity and what they mean, in one line."""
        growth = f"growth {_text(self.growth)}"
        if self.reason is not None:
            growth = f"no growth ({self.reason})"
        linearity = f"linearity {_text(self.linearity)}"
        if self.linearity.value is None:
            linearity = "no linearity (no response is finite and not 0)"
        return f"{growth}, {linearity}; {self.expectation}"


def _text(interval: Interval) -> str:
    value, low, high = (None if end is None else number_text(end) for end in interval[:3])
    ends = "(one direction, no interval)" if low is None else f"[{low}, {high}]"
    return f"{value} {ends}"


def number_text(number: float) -> str:
    """Return a growth or a linearity as text."""
    return f"{number:.2f}" if abs(number) < 10 else f"{number:.3g}"


def predictability_record(
    responses: Sequence[Response],
    *,
    study: str,
    first_steps: int,
    gradients: int,
    retrainings: float,
    confidence: float,
) -> dict[str, Any]:
    """Return the content of `predictability.json`.

    Args:
        responses: of all directions; none if no order changes anything.
        study: name of the study.
        first_steps: the steps in which random orders differ from the reference.
        gradients: number of sequences whose gradient was computed.
        retrainings: the same in retrainings of the window.
        confidence: probability of the intervals, in (0, 1).

    """
    growth = _growth([response.growth for response in responses], confidence)
    linearities = [r.linearity for r in responses if r.linearity is not None]
    diverged = sum(math.isinf(response.growth) for response in responses)
    reason = None
    if diverged:
        reason = f"diverged in {diverged} of {len(responses)} perturbed trainings"
    elif not responses:
        reason = f"random orders change no parameter in their first {first_steps} steps"
    return {
        "study": study,
        "growth": growth._asdict(),
        "linearity": student_mean(linearities, confidence)._asdict(),
        "expectation": expectation(growth, diverged=diverged > 0),
        "reason": reason,
        "first_steps": first_steps,
        "directions": [
            {name: finite(number) for name, number in asdict(response).items()}
            for response in responses
        ],
        "cost": {"gradients": gradients, "retrainings": retrainings},
    }


def _growth(values: Sequence[float], confidence: float) -> Interval:
    """Return the geometric mean, and Student's interval of the mean logarithm."""
    if not np.isfinite(values).all():
        return Interval(None, None, None, len(values))
    logarithms = student_mean(np.log(np.maximum(values, np.finfo(float).tiny)), confidence)
    value, low, high = (None if x is None else math.exp(x) for x in logarithms[:3])
    return Interval(value, low, high, len(values))


def class_of(words: str) -> str:
    """Return the class that the words of an expectation begin with.

    Examples:
        >>> class_of(HARD)
        'hard'

    """
    return words.partition(":")[0]


def expectation(growth: Interval, *, diverged: bool = False) -> str:
    """Return the class of a growth, and what it means for estimates, in words.

    A training counts as predictable only if the upper end of the interval, if there is one, is.
    """
    if diverged:
        return UNPREDICTABLE
    if growth.value is None:
        return UNKNOWN
    if growth.value > UNPREDICTABLE_GROWTH:
        return UNPREDICTABLE
    highest = growth.value if growth.high is None else growth.high
    return PREDICTABLE if highest <= PREDICTABLE_GROWTH else HARD
