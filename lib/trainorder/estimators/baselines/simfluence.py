"""`simfluence`: each loss follows a linear recursion along the order. A baseline without training.

At each step the consumed units multiply a loss and add to it (Guu et al. 2023, arXiv 2303.08114).
The factor and the summand of a unit are those of its domain plus a shrunk deviation of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# How many times a window forgets the losses before it by a factor e, without any deviation.
FORGETTING = (1.0, 4.0, 16.0)
# In units of the largest squared singular value. The largest comes first and wins a tie.
PENALTIES = np.logspace(1, -6, 8)
FOLDS = 8  # of the cross-validation, at most
_FREE = 1e4  # prior variance of what is not shrunk, in units of the variance of the losses
_ITERATIONS, _HALVINGS = 12, 6
_CONVERGED = 1e-9  # relative decrease of the objective


@dataclass(frozen=True)
class Recursions:
    """B recursions x -> (1 - q (1 + a)) x + b from x = 0, each with its own coefficients.

    a and b are means over the units of a step.

    Attributes:
        domain_of: (U,) number of the domain of each unit.
        rate: (B,) q, the share of the state that a step without deviation forgets.
        coefficients: (B, 2 + 2 F): the start, the mean of b, then a and b of F features, which
            are D domains, followed by U units as deviations from their domain.

    """

    domain_of: Integers
    rate: Floats
    coefficients: Floats

    @property
    def domains(self) -> int:
        """D, the number of domains."""
        features: int = self.coefficients.shape[1] // 2 - 1
        return features - len(self.domain_of)

    def steps(self, schedules: Integers) -> tuple[Floats, Floats]:
        """Return the factors and the summands of each step of schedules (O, T, k), (B, O, T)."""
        deviation, summand = np.split(self.coefficients[:, 2:], 2, axis=1)
        a, b = (self._of_units(part)[:, schedules].mean(-1) for part in (deviation, summand))
        return 1 - self.rate[:, None, None] * (1 + a), self.coefficients[:, 1, None, None] + b

    def losses(self, schedules: Integers) -> Floats:
        """Return the losses before each step of schedules (O, T, k) and at the end, (B, O, T+1)."""
        return self.coefficients[:, :1, None] + _states(*self.steps(schedules))

    def derivatives(
        self, schedules: Integers, features: Floats, readouts: Sequence[int]
    ) -> tuple[Floats, Floats]:
        """Return the losses after each of R readouts, and their derivatives by the coefficients.

        Returns:
            (B, O, R) losses and (B, O, R, 2 + 2 F) derivatives.

        """
        factor, summand = self.steps(schedules)
        state = _states(factor, summand)
        parts = []
        for readout in readouts:
            kept = remaining(factor[..., :readout])
            forgotten = -self.rate[:, None, None] * kept * state[..., :readout]
            used = features[:, :readout]
            start, mean = np.ones_like(kept[..., :1]), kept.sum(-1, keepdims=True)
            a, b = (np.einsum("bot,otf->bof", part, used) for part in (forgotten, kept))
            parts.append(np.concatenate([start, mean, a, b], axis=-1))
        losses = self.coefficients[:, :1, None] + state[..., list(readouts)]
        return losses, np.stack(parts, axis=2)

    def _of_units(self, coefficients: Floats) -> Floats:
        """Return the sums (B, U) of the coefficients (B, F) of each unit and of its domain."""
        domains, units = coefficients[:, : self.domains], coefficients[:, self.domains :]
        return domains[:, self.domain_of] + units


def remaining(factor: Floats) -> Floats:
    """Return the share of each step's summand at the end, prod_{s > t} factor_s, (..., T)."""
    after = np.flip(np.cumprod(np.flip(factor[..., 1:], -1), axis=-1), -1)
    return np.concatenate([after, np.ones_like(factor[..., :1])], axis=-1)


def _states(factor: Floats, summand: Floats) -> Floats:
    """Return x (..., T+1) with x_0 = 0 and x_{t+1} = factor_t x_t + summand_t."""
    state = np.zeros((*factor.shape[:-1], factor.shape[-1] + 1))
    for t in range(factor.shape[-1]):
        state[..., t + 1] = factor[..., t] * state[..., t] + summand[..., t]
    return state


@dataclass(frozen=True)
class Simfluence:
    """Fitted recursions of M metrics, in units of `scale` (M,) about `centre` (M,)."""

    recursions: Recursions
    centre: Floats
    scale: Floats

    def predict(self, schedules: Sequence[np.ndarray]) -> Floats:
        """Return the metrics (O, M) at the end of O schedules (T, k) of unit indices."""
        ends = self.recursions.losses(np.stack(schedules))[..., -1]
        return np.asarray(self.centre + self.scale * ends.T, dtype=np.float64)


def fit_simfluence(
    schedules: Sequence[np.ndarray],
    labels: Sequence[str],
    losses: Floats,
    readouts: Sequence[int],
) -> Simfluence:
    """Return the recursions that fit the losses of retrained orders best, one for each metric.

    The coefficients minimize the squared errors at all readouts plus the penalty times their own
    squares, by Gauss-Newton steps. All metrics share the rate and the penalty: the pair with the
    smallest error at the last readout of orders that were held out, in at most `FOLDS` folds. The
    errors of a metric are relative to its spread.

    Args:
        schedules: O schedules (T, k) of unit indices.
        labels: the domain, or `mixed`, of each of the U units.
        losses: (O, R, M) metrics after each of R readouts.
        readouts: R numbers of steps, the last of them T.

    """
    data = _Data.of(np.stack(schedules), labels, readouts)
    centre, scale = losses.mean((0, 1)), losses.std((0, 1))
    scale = np.where(scale > 0, scale, 1.0)
    scaled = (losses - centre) / scale
    rate, penalty = data.selected(scaled)
    every = np.ones((1, len(schedules)), dtype=bool)
    fits = [data.fitted(metric, every, rate, penalty) for metric in np.moveaxis(scaled, -1, 0)]
    recursions = Recursions(
        data.domain_of,
        np.concatenate([fit.rate for fit in fits]),
        np.concatenate([fit.coefficients for fit in fits]),
    )
    return Simfluence(recursions, centre, scale)


@dataclass(frozen=True)
class _Data:
    """The orders to fit on.

    Attributes:
        schedules: (O, T, k) unit indices.
        domain_of: (U,) number of the domain of each unit.
        features: (O, T, F) shares of the domains and of the units in each step.
        readouts: R numbers of steps.

    """

    schedules: Integers
    domain_of: Integers
    features: Floats
    readouts: tuple[int, ...]

    @classmethod
    def of(cls, schedules: Integers, labels: Sequence[str], readouts: Sequence[int]) -> "_Data":
        names, domain_of = np.unique(np.asarray(labels), return_inverse=True)
        domains, units = np.eye(len(names))[domain_of], np.eye(len(labels))
        features = np.concatenate([domains, units], axis=1)[schedules].mean(2)
        return cls(schedules, domain_of, features, tuple(readouts))

    def selected(self, losses: Floats) -> tuple[float, float]:
        """Return the rate and the penalty with the smallest held-out error of losses (O, R, M)."""
        orders = np.arange(len(losses))
        fold = orders % min(FOLDS, len(losses))
        used = fold != np.unique(fold)[:, None]
        best, selected = np.inf, (0.0, 0.0)
        for forgetting in FORGETTING:
            rate = float(-np.expm1(-forgetting / self.schedules.shape[1]))
            for penalty in PENALTIES * self.largest(rate):
                error = 0.0
                for metric in np.moveaxis(losses, -1, 0):
                    ends = self.fitted(metric, used, rate, penalty).losses(self.schedules)[..., -1]
                    error += float(((ends[fold, orders] - metric[:, -1]) ** 2).sum())
                if error < best:
                    best, selected = error, (rate, float(penalty))
        return selected

    def fitted(
        self, losses: Floats, used: NDArray[np.bool_], rate: float, tau: float
    ) -> Recursions:
        """Return B fits to one metric (O, R); fit b uses the orders where `used` (B, O) is true."""
        return _Objective(self, losses, used[..., None], tau).minimized(self._zero(rate, len(used)))

    def _zero(self, rate: float, fits: int) -> Recursions:
        coefficients = np.zeros((fits, 2 + 2 * self.features.shape[-1]))
        return Recursions(self.domain_of, np.full(fits, rate), coefficients)

    def largest(self, rate: float) -> float:
        """Return the largest squared singular value of the centred derivatives at zero."""
        _, slope = self._zero(rate, 1).derivatives(self.schedules, self.features, self.readouts)
        slope = slope.reshape(-1, slope.shape[-1])[:, 2:]
        largest = np.linalg.svd(slope - slope.mean(0), compute_uv=False)[0] ** 2
        return float(largest) or 1.0


@dataclass(frozen=True)
class _Objective:
    """The squared errors of B fits to one metric, plus their penalties.

    Attributes:
        data: the orders.
        losses: (O, R) of the metric.
        used: (B, O, 1), the orders that each fit uses.
        penalty: of the squared coefficients.

    """

    data: _Data
    losses: Floats
    used: NDArray[np.bool_]
    penalty: float

    @property
    def variance(self) -> Floats:
        """The prior variance of each coefficient, (2 + 2 F,), in units of 1 / penalty.

        Losses at the end alone do not tell the mean of b from the start, so the mean is shrunk:
        a large one would make every a effective, whatever its penalty.
        """
        mean = _FREE if len(self.data.readouts) > 1 else 1.0
        return np.array([_FREE, mean] + [1.0] * (2 * self.data.features.shape[-1]))

    def values(self, fits: Recursions) -> Floats:
        """Return the objective (B,) of B fits."""
        estimated = fits.losses(self.data.schedules)[..., self.data.readouts]
        squares = (self.used * (estimated - self.losses)) ** 2
        shrunk = (fits.coefficients**2 / self.variance).sum(-1)
        return np.asarray(squares.sum((1, 2)) + self.penalty * shrunk)

    def minimized(self, fits: Recursions) -> Recursions:
        """Return the fits after Gauss-Newton steps, each halved until the objective decreases."""
        values = self.values(fits)
        for _ in range(_ITERATIONS):
            step, before = self._solution(fits) - fits.coefficients, values
            for _ in range(_HALVINGS):
                tried = replace(fits, coefficients=fits.coefficients + step)
                reached = self.values(tried)
                better = reached < values
                chosen = np.where(better[:, None], tried.coefficients, fits.coefficients)
                fits, values = replace(fits, coefficients=chosen), np.where(better, reached, values)
                step = np.where(better[:, None], 0.0, step / 2)
            if (before - values <= _CONVERGED * before).all():
                break
        return fits

    def _solution(self, fits: Recursions) -> Floats:
        """Return the coefficients (B, 2 + 2 F) that minimize the objective linearized at `fits`.

        The dual form is solved, whose system has one row for each order and readout.
        """
        data, count = self.data, len(self.used)
        estimated, slope = fits.derivatives(data.schedules, data.features, data.readouts)
        slope = (self.used[..., None] * slope).reshape(count, -1, slope.shape[-1])
        residual = (self.used * (self.losses - estimated)).reshape(count, -1, 1)
        goal = residual + slope @ fits.coefficients[..., None]
        transposed = slope.transpose(0, 2, 1)
        kernel = (slope * self.variance) @ transposed
        dual = np.linalg.solve(kernel + self.penalty * np.eye(kernel.shape[1]), goal)
        return np.asarray(self.variance * (transposed @ dual)[..., 0])
