"""The reduced model as the page replays it: the same losses from fewer and shorter numbers.

Three things make it small. The curvature of the units stays in its factors, one matrix for each
cluster and a few directions for each unit. The coefficients of the gradients are given at the knots
and interpolated between. And the large arrays are packed into as few bits as the losses allow.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainorder.curvature.low_rank import UnitCores
from trainorder.curvature.reduced_model import Clipping, ReducedModel
from trainorder.explorer.packing import packed, rounded
from trainorder.numerics.interpolation import interpolated

Floats = NDArray[np.float64]

TOLERANCE = 5e-7  # nats per token: largest difference from Python that packing may cause
_FEWEST_BITS, _MOST_BITS = 16, 32
_SCALED = {  # leading axes of each large array whose blocks have their own scales
    "coefficients": 2,
    "clusterCores": 3,
    "unitCores": 2,
    "unitReaders": 1,
    "steps": 2,
    "drifts": 2,
    "clipGram": 1,
}


@dataclass(frozen=True)
class CompactModel:
    """The large arrays of the page's model in double precision, and the model they are taken from.

    Attributes:
        model: the reduced model, with all its readouts.
        cores: the curvature of the units in its factors.
        arrays: the arrays by name in the page.
            coefficients: a at the knots, (K, U, q).
            clusterCores: M', (A, C, r, q).
            unitCores: D, (U, n, q).
            unitReaders: E, (n, r).
            steps: (K, f, 1 + J, w) for the w rows of Q, with f = r + R D, and D columns more for
                averaged weights; twice as many if weight decay exempts parameters.
            drifts: (K, 1 + J, f).
            clipGram: B B', (w, w); only with clipping.

    """

    model: ReducedModel
    cores: UnitCores
    arrays: Mapping[str, Floats]

    @classmethod
    def of(cls, model: ReducedModel, cores: UnitCores) -> "CompactModel":
        """Return the compact model of `model`, whose units have the curvature `cores`."""
        kept = _shown_columns(model)
        steps = model.steps.unflatten(2, model.drifts.shape[1:])[..., kept]
        tensors = {
            "coefficients": model.coefficients[torch.as_tensor(model.knots)],
            "clusterCores": cores.cores.mT,
            "unitCores": cores.unit_corrections,
            "unitReaders": cores.unit_readers,
            "steps": steps.permute(0, 3, 2, 1),
            "drifts": model.drifts[..., kept],
            **({} if model.clipping is None else {"clipGram": model.clipping.gram}),
        }
        arrays = {name: tensor.double().numpy() for name, tensor in tensors.items()}
        return cls(model, cores, arrays)

    def bits(self, schedules: Tensor) -> int:
        """Return the bits with which no loss of `schedules` (O, T, k) changes by `TOLERANCE`.

        A bit more halves the change. There are at most 32.
        """
        change = self.change(schedules, _FEWEST_BITS)
        more = math.ceil(math.log2(max(change, 1e-300) / TOLERANCE))
        return min(_FEWEST_BITS + max(0, more), _MOST_BITS)

    def change(self, schedules: Tensor, bits: int) -> float:
        """Return the largest change of a loss of `schedules` (O, T, k) by packing.

        Orders whose losses are not finite, because their replay diverges, do not count.
        """
        exact, short = self.expanded(None), self.expanded(bits)
        difference = exact.along(schedules) - short.along(schedules)
        finite = difference[difference.isfinite()].abs()
        return float(finite.max()) if finite.numel() else 0.0

    def expanded(self, bits: int | None) -> ReducedModel:
        """Return a reduced model of the shown losses in double precision, as the page replays it.

        Args:
            bits: of the packed numbers; None: the numbers before they are packed.

        """
        arrays = {
            name: torch.from_numpy(values if bits is None else rounded(values, _SCALED[name], bits))
            for name, values in self.arrays.items()
        }
        model, cores = self.model, arrays["clusterCores"].mT
        count = len(model.goals)
        shown = model.rank + len(model.losses) * count

        def with_units(columns: Tensor) -> Tensor:
            """Return the columns of readers and goals, and zeros for the units, in each half."""
            halves = columns.unflatten(-1, (2 if model.exempts else 1, -1))[..., :shown]
            return torch.nn.functional.pad(halves, (0, len(model.unit_losses))).flatten(-2)

        factors = UnitCores(cores, self.cores.labels, arrays["unitCores"], arrays["unitReaders"])
        clipping = model.clipping and replace(model.clipping, gram=arrays["clipGram"])
        at_knots = arrays["coefficients"].__getitem__
        return replace(
            model,
            coefficients=torch.stack(
                [interpolated(model.knots, t, at_knots) for t in range(len(model.rates))]
            ),
            cores=factors.of_units(),
            steps=with_units(arrays["steps"].permute(0, 3, 2, 1)).flatten(2).contiguous(),
            drifts=with_units(arrays["drifts"]),
            responses=model.responses.double(),
            losses=model.losses[:, :count].double(),
            averaged_states=None,
            clipping=clipping,
        )

    def record(self, bits: int | None) -> dict[str, Any]:
        """Return what the page reads; see `explorer/model.js`.

        Args:
            bits: of the packed numbers; None for lists of numbers with all their digits.

        """
        model = self.model
        small: dict[str, Any] = {
            name: getattr(model, name) for name in ("knots", "rates", "decay", "corrections")
        }
        small |= {
            "coupled": model.coupled,
            "beta": model.beta,
            "probedSteps": model.probed_steps,
            "labels": self.cores.labels,
            "responses": model.responses,
            "readouts": model.readouts,
            "losses": model.losses,
            "unitLosses": model.unit_losses,
        }
        return {
            "goals": list(model.goals),
            "exempts": model.exempts,
            "lossScale": model.loss_scale,
            "clipping": model.clipping and _clipping_record(model.clipping),
            "averagedStates": min(model.averaged_states or 0, len(model.rates)),
            **{name: _numbers(values) for name, values in small.items()},
            "arrays": {
                name: _listed(values) if bits is None else packed(values, _SCALED[name], bits)
                for name, values in self.arrays.items()
            },
        }


def _shown_columns(model: ReducedModel) -> Tensor:
    """Return the columns of readers, of goals at all readouts and of averaged goals at the end."""
    read, goals = model.losses.shape[1], len(model.goals)
    at_readouts = read * torch.arange(len(model.losses))[:, None] + torch.arange(goals)
    last = int(at_readouts[-1, -1]) + 1
    averaged = torch.arange(last, last + read - goals)
    return model.kept(torch.cat([at_readouts.reshape(-1), averaged]))


def _clipping_record(clipping: Clipping) -> dict[str, Any]:
    """Return the small arrays of `clipping`; its matrix is the array `clipGram`."""
    names = {"largest": "largest", "meanScales": "mean_scales", "weights": "weights"}
    return {shown: _numbers(getattr(clipping, name)) for shown, name in names.items()}


def _numbers(values: Tensor | np.ndarray) -> Any:
    return np.asarray(values).astype(np.float64).tolist()


def _listed(values: Floats) -> dict[str, Any]:
    return {"shape": list(values.shape), "values": values.reshape(-1).tolist()}
