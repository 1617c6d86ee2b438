"""All orders of a study. Only this module knows the layout of `orders.json`."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.config.sections.window import WindowConfig
from trainorder.errors import UserError
from trainorder.orders.order import FIT, HELD_BACK, REFERENCE, Order
from trainorder.storage.formats import read_json


class OrderBook(Mapping[str, Order]):
    """Orders by name, in the order of their file.

    An unknown name raises a `UserError` that suggests the closest name.

    Attributes:
        units_of_interest: units whose own loss is measured after retraining, by order name. Only
            the orders of the memorization stage have any.

    Examples:
        >>> import numpy as np
        >>> book = OrderBook(
        ...     [
        ...         Order("reference", "reference", "reference", np.array([[0], [1]])),
        ...         Order("reversed", "reversed", "structured", np.array([[1], [0]])),
        ...     ]
        ... )
        >>> list(book)
        ['reference', 'reversed']
        >>> book.reference.schedule.tolist()
        [[0], [1]]
        >>> [order.name for order in book.of_split("structured")]
        ['reversed']

    """

    def __init__(
        self,
        orders: Iterable[Order],
        *,
        unit_domains: Sequence[str] | None = None,
        units_of_interest: Mapping[str, Sequence[int]] | None = None,
        source: str = "orders",
    ) -> None:
        """Collect `orders`; their names are distinct. `source` is the file, for error messages."""
        self._orders = {order.name: order for order in orders}
        self._unit_domains = unit_domains
        self._source = source
        self.units_of_interest = dict(units_of_interest or {})

    @classmethod
    def load(cls, path: str | Path) -> "OrderBook":
        """Read `orders.json`, or a file of further orders of the same form.

        Raises:
            UserError: the file is missing, is not JSON or is not a list of orders.

        """
        content = _content(path)
        records = _records(path, content).values()
        try:
            orders = [
                Order(
                    record["name"],
                    record["kind"],
                    record["split"],
                    np.array(record["schedule"], np.int64),
                )
                for record in records
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise _no_orders(path, error) from None
        return cls(
            orders,
            unit_domains=content.get("unit_domains"),
            units_of_interest={
                record["name"]: record["units"] for record in records if "units" in record
            },
            source=str(path),
        )

    def as_dict(self, study: str, window: WindowConfig, unit_losses: np.ndarray) -> dict[str, Any]:
        """Return the content of `orders.json`.

        Args:
            study: the name of the study.
            window: the shape of the schedules.
            unit_losses: (U,) loss of each unit before the window, in nats per token.

        """
        return {
            "study": study,
            "steps": window.steps,
            "units": window.units,
            "units_per_step": window.units_per_step,
            "unit_domains": self.unit_domains,
            "unit_losses": unit_losses.tolist(),
            "orders": [order.as_dict(self.reference) for order in self.values()],
        }

    def __getitem__(self, name: str) -> Order:
        """Return an order by its name."""
        if name in self:
            return self._orders[name]
        close = difflib.get_close_matches(str(name), self, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"expected one of {', '.join(self)}"
        raise UserError(f"{self._source}: no order `{name}`; {hint}")

    def get(self, name: str, default: Any = None) -> Any:
        """Return an order by its name, or `default` if there is none."""
        return self._orders.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._orders

    def __iter__(self) -> Iterator[str]:
        return iter(self._orders)

    def __len__(self) -> int:
        return len(self._orders)

    @property
    def reference(self) -> Order:
        """The reference order."""
        return self[REFERENCE]

    @property
    def unit_domains(self) -> list[str]:
        """Domain of each unit; `mixed` for a unit with text of several domains.

        Raises:
            UserError: the file does not hold them.

        """
        if self._unit_domains is None:
            raise UserError(f"{self._source}: no `unit_domains`; rerun rule `orders`")
        return [str(domain) for domain in self._unit_domains]

    @property
    def fit(self) -> list[Order]:
        """The orders that baselines are fitted on."""
        return self.of_split(FIT)

    def of_split(self, name: str) -> list[Order]:
        """Return the orders of a split."""
        return [order for order in self.values() if order.split == name]

    def bounded(self, bounds: Mapping[str, int]) -> list[Order]:
        """Return the first orders of each split that an estimator runs on.

        The split `fit` is excluded: some estimators are fitted on it.

        Args:
            bounds: largest number of orders by split; all orders of a split that it omits.

        """
        counts: dict[str, int] = {}
        chosen = []
        for order in self.values():
            counts[order.split] = counts.get(order.split, 0) + 1
            if order.split != FIT and counts[order.split] <= bounds.get(order.split, len(self)):
                chosen.append(order)
        return chosen

    def to_retrain(self, bounds: Mapping[str, int] | None) -> list[Order]:
        """Return the orders that a model is retrained on.

        Args:
            bounds: None for all orders; otherwise those that a baseline is fitted on, followed by
                those that it estimates (see `bounded`).

        """
        if bounds is None:
            return list(self.values())
        return self.fit + self.bounded(bounds)

    def followed(self, count: int) -> list[str]:
        """Return the names of `count` orders whose error is followed step by step.

        Half of them are random and half structured, the first of each, because every estimator
        runs on those.
        """
        random = [order.name for order in self.of_split(HELD_BACK)]
        structured = [order.name for order in self.of_split("structured")]
        half = min(count // 2, len(structured))
        return random[: count - half] + structured[:half]


def read_records(path: str | Path) -> dict[str, dict[str, Any]]:
    """Return the entries of `orders.json` by order name, as `Order.as_dict` wrote them.

    Raises:
        UserError: the file is missing, is not JSON, is not a list of orders, or has a duplicate
            name.

    """
    return _records(path, _content(path))


def _records(path: str | Path, content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    try:
        records = list(content["orders"])
        by_name = {record["name"]: record for record in records}
    except (KeyError, TypeError) as error:
        raise _no_orders(path, error) from None
    if len(by_name) < len(records):
        names = [record["name"] for record in records]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path}: duplicate order `{duplicate}`; rerun rule `orders`")
    return by_name


def _content(path: str | Path) -> dict[str, Any]:
    content = read_json(path, "orders")
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected an object with the key `orders`; rerun rule `orders`")
    return content


def _no_orders(path: str | Path, error: Exception) -> UserError:
    return UserError(f"{path}: not a list of orders ({error!r}); rerun rule `orders`")
