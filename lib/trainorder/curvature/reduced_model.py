"""The reduced model: a whole replay in a few hundred numbers a schedule.

`curvature.build_reduced_model` explains the formulas and builds it.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from trainorder.expansion.replay import sum_over_units
from trainorder.numerics.interpolation import interpolated
from trainorder.storage.sealed_hdf5 import opened, read_arrays, write_arrays
from trainorder.training.averaged_states import AveragedStates, averaged_steps

# Names of datasets in the file that differ from the attribute's name.
_STORED_NAMES = {"probed_steps": "bends"}
_AVERAGED = "averaged_states"  # an attribute of the file, if there are means
_LOSS_SCALE = "loss_scale"  # an attribute of the file, if it is not 1
_OPTIONAL = (_AVERAGED, "clipping", _LOSS_SCALE)
BATCH = 2048  # schedules at once: large enough to keep the processor busy


@dataclass(frozen=True)
class Clipping:
    """Gradient clipping in reduced coordinates.

    The gradient of a step is B' c with coordinates c: those in the basis Q, then w_t, which gives
    gbar_t from the K mean gradients at anchors. A schedule scales it by s = min(1, C / |B' c|). The
    mean path takes gbar_t times sbar_t, so that (s - sbar_t) gbar_t is what remains.

    Attributes:
        largest: C, ().
        gram: B B', (q + K, q + K).
        mean_scales: sbar, (T,).
        weights: w, (T, K).

    """

    largest: np.ndarray
    gram: Tensor
    mean_scales: np.ndarray
    weights: Tensor

    def clipped(self, t: int, force: Tensor) -> Tensor:
        """Return the coordinates (O, q + K) of clipped gradients minus sbar_t gbar_t.

        `force` (O, q) has their coordinates minus those of gbar_t, before clipping.
        """
        mean, scales = self.weights[t].expand(len(force), -1), self._scales(t, force)
        return torch.cat([scales * force, (scales - float(self.mean_scales[t])) * mean], 1)

    def mean_scale(self, t: int, force: Tensor) -> float:
        """Return the mean of s over gradients with the coordinates `force` (O, q)."""
        return float(self._scales(t, force).mean())

    def _scales(self, t: int, force: Tensor) -> Tensor:
        """Return s (O, 1)."""
        whole = torch.cat([force, self.weights[t].expand(len(force), -1)], 1)
        norms = ((whole @ self.gram) * whole).sum(1, keepdim=True).clamp(min=0).sqrt()
        return (float(self.largest) / (norms + 1e-6)).clamp(max=1.0)


@dataclass
class ReducedModel:
    """The reduced model of a study.

    At each readout it reads L losses: those of the D goals, and with `averaged_states` those of the
    goals at the mean of the last states, so L is D or 2 D. y is linear in the displacement from the
    path, so the mean of y is the displacement of the mean state from the mean of the path.

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
            f = r + R L + U, or twice that if weight decay exempts parameters: the second half reads
            the displacements of these only. With clipping Q has further rows, see `Clipping`.
        drifts: F diag(Dbar p_j) mbar, (K, 1 + J, f), minus F (update of the path) for j = 0.
        responses: R, (U, J).
        goals: the D names of the goals.
        readouts: (R,) numbers of updates after which the goals are read; the last is T.
        losses: (R, L) losses of the goals at the path, and at the mean of its last states.
        unit_losses: (U,) losses of the units at the end of the path.
        averaged_states: number of last states of a mean; None for no means.
        clipping: of gradients; None without it.
        loss_scale: that of the units' losses in `cores`; the losses that are read are without it.

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
    averaged_states: int | None = None
    clipping: Clipping | None = None
    loss_scale: float = 1.0

    @property
    def rank(self) -> int:
        """r, the number of directions in which displacements are read."""
        return self.cores.shape[2]

    def predict(self, schedules: Tensor) -> Tensor:
        """Return the losses (O, L) at the end of `schedules` (O, T, k) int64."""
        return self._read(schedules, [len(self.readouts) - 1])[:, 0]

    def along(self, schedules: Tensor) -> Tensor:
        """Return the losses (O, R, L) after each of `readouts`."""
        return self._read(schedules, range(len(self.readouts)))

    def units(self, schedules: Tensor) -> Tensor:
        """Return the losses of the units themselves (O, U) at the end of `schedules`."""
        units = len(self.unit_losses)
        columns = self.losses.numel() + torch.arange(units)
        first, own = [], self.cores[-1, :, :, : self.rank] / self.loss_scale
        for batch in schedules.split(BATCH):
            [(_, y)] = self._replayed(batch, columns, {int(self.readouts[-1])})
            ends = y[:, : self.rank]
            second = torch.einsum("oi,uij,oj->ou", ends, own, ends) / 2
            first.append(self.unit_losses + y[:, self.rank :] + second)
        return torch.cat(first)

    def _read(self, schedules: Tensor, places: Sequence[int]) -> Tensor:
        """Return the losses (O, n, L) after the readouts at `places`."""
        read, goals = self.losses.shape[1], len(self.goals)
        place_of = {int(self.readouts[place]): i for i, place in enumerate(places)}
        mean_cores = {t: self._mean_core(t) for t in place_of}
        averaged_cores = {t: self._averaged_core(t) for t in place_of if self.averaged_states}
        columns = torch.cat([read * place + torch.arange(read) for place in places])
        parts = []
        for batch in schedules.split(BATCH):
            averages, seen = AveragedStates(list(place_of), self.averaged_states), []
            after = {*place_of, *(t for steps in averages.steps.values() for t in steps)}
            for t, y in self._replayed(batch, columns, after):
                averages.add(t, y)
                if t not in place_of:
                    continue
                i = place_of[t]
                start, losses = self.rank + read * i, self.losses[places[i]]
                values = self._moved(losses[:goals], y, start, mean_cores[t])
                mean = averages.take(t)
                if mean is not None:
                    more = self._moved(losses[goals:], mean, start + goals, averaged_cores[t])
                    values = torch.cat([values, more], 1)
                seen.append(values)
            parts.append(torch.stack(seen, 1))
        return torch.cat(parts)

    def _moved(self, losses: Tensor, y: Tensor, start: int, core: Tensor) -> Tensor:
        """Return `losses` (D,) of the path after the displacements of y (O, f), (O, D).

        The first order is in the columns from `start`; `core` (r, r) is the curvature.
        """
        ends = y[:, : self.rank]
        second = ((ends @ core) * ends).sum(1, keepdim=True) / 2
        return losses + y[:, start : start + len(losses)] + second

    def _mean_core(self, t: int) -> Tensor:
        """Return the mean over units of their curvature (r, r) after `t` updates."""
        mean = interpolated(self.probed_steps, t, lambda place: self.cores[place].mean(0))
        return mean[:, : self.rank] / self.loss_scale

    def _averaged_core(self, readout: int) -> Tensor:
        """Return the mean of `_mean_core` over the states of the mean at `readout`, (r, r)."""
        steps = averaged_steps(readout, self.averaged_states or 1)
        return torch.stack([self._mean_core(t) for t in steps]).mean(0)

    def _replayed(
        self, schedules: Tensor, columns: Tensor, after: Collection[int]
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield t and y (O, r + n) for t in `after`: the readers, then `columns` of the losses."""
        count, steps, _ = schedules.shape
        r, f = self.rank, self.rank + len(columns)
        kept = self.kept(columns)
        tables = self.steps.unflatten(2, self.drifts.shape[1:])[..., kept].flatten(2)
        drifts = self.drifts[..., kept]
        y = self.cores.new_zeros(count, len(kept))
        mu = self.cores.new_zeros(count, self.steps.shape[1])
        alpha = self.cores.new_zeros(count, self.responses.shape[1])
        exempt = y[:, f:] if self.exempts else torch.zeros(())
        nu, coupled = torch.zeros_like(y[:, :f]), float(self.coupled)
        b1, b2 = (float(b) for b in self.beta)
        for t in range(steps):
            units = schedules[:, t]
            force = self.coefficients[t][units].mean(1)
            cores = interpolated(self.probed_steps, t, self.cores.__getitem__)
            for unit, rows in sum_over_units(units):
                force.index_add_(0, rows, y[rows, :r] @ cores[unit], alpha=1 / units.shape[1])
            if self.clipping is not None:
                force = self.clipping.clipped(t, force)
            mu.lerp_(force, 1 - b1)
            alpha = b2 * alpha + self.responses[units].mean(1)
            matrix = interpolated(self.knots, t, tables.__getitem__)
            drift = interpolated(self.knots, t, drifts.__getitem__)
            update = self._step(t, mu, alpha, matrix, drift)
            if coupled:
                nu.mul_(b1).add_(y[:, :f] - exempt, alpha=coupled)
                update[:, :f].add_(nu, alpha=float(self.rates[t]))
            y[:, :f].mul_(float(self.decay[t])).add_(exempt, alpha=1 - float(self.decay[t]))
            y.sub_(update)
            if t + 1 in after:
                yield t + 1, y[:, :f]

    @property
    def exempts(self) -> bool:
        """Whether the functionals have a second half, of the parameters without weight decay."""
        return self.drifts.shape[2] > self.rank + self.losses.numel() + len(self.unit_losses)

    def kept(self, columns: Tensor) -> Tensor:
        """Return the places of the readers and of the losses at `columns`, in each half."""
        kept = torch.cat([torch.arange(self.rank), self.rank + columns])
        second = kept + self.drifts.shape[2] // 2
        return torch.cat([kept, second]) if self.exempts else kept

    def _step(self, t: int, mu: Tensor, alpha: Tensor, matrix: Tensor, drift: Tensor) -> Tensor:
        """Return the rate times F (update of the schedules minus that of the path), (O, f)."""
        pushed = (mu @ matrix).view(len(mu), *drift.shape) + drift
        scale = float(self.rates[t] / self.corrections[t])
        return (pushed[:, 0] + torch.einsum("oj,ojf->of", alpha, pushed[:, 1:])) * scale

    def save(self, path: str | Path, key: str) -> None:
        """Publish as a sealed file of study `key`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        count, clipping = values.pop(_AVERAGED), values.pop("clipping")
        loss_scale = values.pop(_LOSS_SCALE)
        attributes = {} if count is None else {_AVERAGED: count}
        attributes |= {} if loss_scale == 1 else {_LOSS_SCALE: loss_scale}
        arrays = {
            _STORED_NAMES.get(name, name): value.numpy() if isinstance(value, Tensor) else value
            for name, value in values.items()
        }
        arrays |= {} if clipping is None else _arrays(clipping)
        write_arrays(path, key, arrays, **attributes)

    @classmethod
    def load(cls, path: str | Path, key: str | None) -> "ReducedModel":
        """Read what `save` published.

        Raises:
            UserError: the file is missing, damaged or from another study.

        """
        stored = {f.name: f for f in fields(cls) if f.name not in _OPTIONAL}
        names = {name: _STORED_NAMES.get(name, name) for name in stored}
        arrays = read_arrays(path, key, "reduced", names.values())
        with opened(path, key, "reduced") as file:
            averaged = file.attrs.get(_AVERAGED)
            clipping = _clipping(file)
            loss_scale = float(file.attrs.get(_LOSS_SCALE, 1.0))
        values: dict[str, Any] = {}
        for name, field in stored.items():
            array = arrays[names[name]]
            values[name] = torch.from_numpy(array) if field.type is Tensor else array
        values["goals"] = list(values["goals"])
        count = None if averaged is None else int(averaged)
        return cls(**values, averaged_states=count, clipping=clipping, loss_scale=loss_scale)


def _arrays(clipping: Clipping) -> dict[str, np.ndarray]:
    """Return the arrays of `clipping` by their names in the file and in the explorer."""
    return {f"clip_{f.name}": np.asarray(getattr(clipping, f.name)) for f in fields(clipping)}


def _clipping(file: h5py.File) -> Clipping | None:
    """Read what `_arrays` named; None if the file has none of it."""
    names = {f.name: f"clip_{f.name}" for f in fields(Clipping)}
    if names["gram"] not in file:
        return None
    arrays = {name: np.asarray(file[stored]) for name, stored in names.items()}
    gram, weights = (torch.from_numpy(arrays[name]) for name in ("gram", "weights"))
    return Clipping(arrays["largest"], gram, arrays["mean_scales"], weights)
