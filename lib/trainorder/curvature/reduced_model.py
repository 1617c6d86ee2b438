"""The reduced model: a whole replay in a few hundred numbers a schedule.

`curvature.build_reduced_model` explains the formulas and builds it.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainorder.expansion.replay import sum_over_units
from trainorder.numerics.interpolation import interpolated
from trainorder.storage.sealed_hdf5 import read_arrays, write_arrays

# Names of datasets in the file that differ from the attribute's name.
_STORED_NAMES = {"probed_steps": "bends"}
BATCH = 2048  # schedules at once: large enough to keep the processor busy


@dataclass
class ReducedModel:
    """The reduced model of a study.

    Attributes:
        knots: (K,) steps at which the matrices are tabulated; they are interpolated between.
        rates: (T,) learning rates.
        decay: (T,) 1 - eta lambda; 1 for SGD.
        corrections: (T,) 1 - b1^(step + 1); 1 for SGD.
        coupled: () lambda if weight decay is a part of the gradient, else 0.
        beta: (2,) b1 and b2.
        coefficients: a, (T, U, q).
        probed_steps: (A,) steps at which the curvature was probed.
        cores: M', (A, U, r, q), of the units.
        steps: [F diag(Dbar p_j) Q']', (K, q, (1 + J) f), for p_0 = 1 and J patterns, with
            f = r + R D + U.
        drifts: F diag(Dbar p_j) mbar, (K, 1 + J, f), minus F (update of the path) for j = 0.
        responses: R, (U, J).
        goals: the D names of the goals.
        readouts: (R,) numbers of updates after which the goals are read; the last is T.
        losses: (R, D) losses of the goals at the path.
        unit_losses: (U,) losses of the units at the end of the path.

    """

    knots: np.ndarray
    rates: np.ndarray
    decay: np.ndarray
    corrections: np.ndarray
    coupled: np.ndarray
    beta: np.ndarray
    coefficients: Tensor
    probed_steps: np.ndarray
    cores: Tensor
    steps: Tensor
    drifts: Tensor
    responses: Tensor
    goals: list[str]
    readouts: np.ndarray
    losses: Tensor
    unit_losses: Tensor

    @property
    def rank(self) -> int:
        """r, the number of directions in which displacements are read."""
        return self.cores.shape[2]

    def predict(self, schedules: Tensor) -> Tensor:
        """Return the goals' losses (O, D) at the end of `schedules` (O, T, k) int64."""
        return self._read(schedules, [len(self.readouts) - 1])[:, 0]

    def along(self, schedules: Tensor) -> Tensor:
        """Return the goals' losses (O, R, D) after each of `readouts`."""
        return self._read(schedules, range(len(self.readouts)))

    def units(self, schedules: Tensor) -> Tensor:
        """Return the losses of the units themselves (O, U) at the end of `schedules`."""
        units = len(self.unit_losses)
        columns = self.losses.numel() + torch.arange(units)
        first, own = [], self.cores[-1, :, :, : self.rank]
        for batch in schedules.split(BATCH):
            [(_, y)] = self._replayed(batch, columns, {int(self.readouts[-1])})
            ends = y[:, : self.rank]
            second = torch.einsum("oi,uij,oj->ou", ends, own, ends) / 2
            first.append(self.unit_losses + y[:, self.rank :] + second)
        return torch.cat(first)

    def at_end(self) -> dict[str, Tensor | np.ndarray]:
        """Return only the arrays that `predict` needs, for replays outside of Python.

        They have the names and shapes of the attributes, but only the columns of the goals at the
        end: `steps` is (K, q, (1 + J) f) with f = r + D, and `losses` is (D,). `mean_core` (r, r)
        is the mean curvature of the units at the end.
        """
        goals, r = len(self.goals), self.rank
        last = r + goals * (len(self.readouts) - 1)
        kept = torch.cat([torch.arange(r), torch.arange(last, last + goals)])
        names = ["knots", "rates", "decay", "corrections", "coupled", "beta", "coefficients"]
        names += ["probed_steps", "cores", "responses"]
        return {
            **{name: getattr(self, name) for name in names},
            "steps": self.steps.unflatten(2, self.drifts.shape[1:])[..., kept].flatten(2),
            "drifts": self.drifts[..., kept],
            "losses": self.losses[-1],
            "mean_core": self._mean_core(int(self.readouts[-1])),
        }

    def _read(self, schedules: Tensor, places: Sequence[int]) -> Tensor:
        """Return the goals' losses (O, n, D) after the readouts at `places`."""
        goals = len(self.goals)
        after = {int(self.readouts[place]) for place in places}
        mean_cores = {t: self._mean_core(t) for t in after}
        columns = torch.cat([goals * place + torch.arange(goals) for place in places])
        parts = []
        for batch in schedules.split(BATCH):
            seen = []
            for i, (t, y) in enumerate(self._replayed(batch, columns, after)):
                ends = y[:, : self.rank]
                first = y[:, self.rank + goals * i :][:, :goals]
                second = ((ends @ mean_cores[t]) * ends).sum(1, keepdim=True) / 2
                seen.append(self.losses[places[i]] + first + second)
            parts.append(torch.stack(seen, 1))
        return torch.cat(parts)

    def _mean_core(self, t: int) -> Tensor:
        """Return the mean over units of their curvature (r, r) after `t` updates."""
        mean = interpolated(self.probed_steps, t, lambda place: self.cores[place].mean(0))
        return mean[:, : self.rank]

    def _replayed(
        self, schedules: Tensor, columns: Tensor, after: Collection[int]
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield t and y (O, r + n) for t in `after`: the readers, then `columns` of the losses."""
        count, steps, _ = schedules.shape
        r = self.rank
        kept = torch.cat([torch.arange(r), r + columns])
        tables = self.steps.unflatten(2, self.drifts.shape[1:])[..., kept].flatten(2)
        drifts = self.drifts[..., kept]
        y = self.cores.new_zeros(count, len(kept))
        mu = self.cores.new_zeros(count, self.coefficients.shape[2])
        alpha = self.cores.new_zeros(count, self.responses.shape[1])
        nu, coupled = torch.zeros_like(y), float(self.coupled)
        b1, b2 = (float(b) for b in self.beta)
        for t in range(steps):
            units = schedules[:, t]
            force = self.coefficients[t][units].mean(1)
            cores = interpolated(self.probed_steps, t, self.cores.__getitem__)
            for unit, rows in sum_over_units(units):
                force.index_add_(0, rows, y[rows, :r] @ cores[unit], alpha=1 / units.shape[1])
            mu.lerp_(force, 1 - b1)
            alpha = b2 * alpha + self.responses[units].mean(1)
            matrix = interpolated(self.knots, t, tables.__getitem__)
            drift = interpolated(self.knots, t, drifts.__getitem__)
            update = self._step(t, mu, alpha, matrix, drift)
            if coupled:
                update.add_(nu.mul_(b1).add_(y, alpha=coupled), alpha=float(self.rates[t]))
            y.mul_(float(self.decay[t])).sub_(update)
            if t + 1 in after:
                yield t + 1, y

    def _step(self, t: int, mu: Tensor, alpha: Tensor, matrix: Tensor, drift: Tensor) -> Tensor:
        """Return the rate times F (update of the schedules minus that of the path), (O, f)."""
        pushed = (mu @ matrix).view(len(mu), *drift.shape) + drift
        scale = float(self.rates[t] / self.corrections[t])
        return (pushed[:, 0] + torch.einsum("oj,ojf->of", alpha, pushed[:, 1:])) * scale

    def save(self, path: str | Path, key: str) -> None:
        """Publish as a sealed file of study `key`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {
            _STORED_NAMES.get(name, name): value.numpy() if isinstance(value, Tensor) else value
            for name, value in values.items()
        }
        write_arrays(path, key, arrays)

    @classmethod
    def load(cls, path: str | Path, key: str | None) -> "ReducedModel":
        """Read what `save` published.

        Raises:
            UserError: the file is missing, damaged or from another study.

        """
        names = [_STORED_NAMES.get(field.name, field.name) for field in fields(cls)]
        arrays = read_arrays(path, key, "reduced", names)
        values: dict[str, Any] = {}
        for field in fields(cls):
            array = arrays[_STORED_NAMES.get(field.name, field.name)]
            values[field.name] = torch.from_numpy(array) if field.type is Tensor else array
        values["goals"] = list(values["goals"])
        return cls(**values)
