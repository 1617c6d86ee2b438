"""How many orders of each kind a study has."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated, Any

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from trainorder.config.methods import METHODS
from trainorder.config.types import CLOSED, Integer, Natural, PathText

STRUCTURED = 6  # structured orders of every study; the block-shuffled ones are additional


@dataclass(frozen=True, config=CLOSED)
class OrdersConfig:
    """How many orders of each kind are retrained."""

    calibration: Natural = 40
    """Random orders that give the intervals and the verdict."""
    random: Annotated[Integer, Field(ge=2)] = 48
    """Held-back random orders."""
    fit: Natural = 8
    """Random orders that ridge, simfluence and proxy are fitted on; unused without them."""
    block_sizes: list[Annotated[Integer, Field(ge=2)]] = field(
        default_factory=lambda: [2, 4, 8, 16]
    )
    """Block-shuffled orders: the reference order, shuffled within blocks of these sizes."""
    custom: PathText | None = None
    """A file of your own orders (JSON, YAML, CSV or .npy), see docs/orders.md."""

    @model_validator(mode="after")
    def _check(self) -> "OrdersConfig":
        if len(set(self.block_sizes)) < len(self.block_sizes):
            raise ValueError("block_sizes: duplicate size; list each size once")
        return self

    @property
    def counts(self) -> dict[str, int]:
        """Orders of each split, except the custom ones: their number is known from their file."""
        return {
            "reference": 1,
            "calibration": self.calibration,
            "random": self.random,
            "fit": self.fit,
            "structured": STRUCTURED + len(self.block_sizes),
        }


def orders_config(
    orders: Mapping[str, Any], estimators: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the section `orders`, without orders of split `fit` if no estimator is fitted."""
    fitted = any(METHODS[entry["method"]].fitted for entry in estimators)
    return {**orders, **({} if fitted else {"fit": 0})}
