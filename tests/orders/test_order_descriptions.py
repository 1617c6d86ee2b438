"""Every order that a study or a search names is explained in words."""

import inspect

import numpy as np
import pytest

from trainorder.config.sections.orders import OrdersConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.curriculum import search
from trainorder.curriculum.candidates import slug
from trainorder.curriculum.heuristic_orders import heuristic_orders
from trainorder.curriculum.literature_orders import UnitFeatures, literature_orders
from trainorder.orders.generate import study_orders
from trainorder.orders.order_descriptions import order_description

DOMAINS = ["code", "drama"] * 4


def names_of_a_study():
    window = WindowConfig(units=8)
    book = study_orders(OrdersConfig(block_sizes=(2, 4)), window, 0, DOMAINS, np.arange(8.0))
    return [order.name for order in book if order.split in ("reference", "structured")]


def names_of_heuristics():
    values = np.arange(8.0)
    known = UnitFeatures(values, np.eye(8), DOMAINS, np.arange(8))
    families = ("balanced", "patterns", "distance", "paired", "last-domain")
    return [*heuristic_orders(values, values[::-1], values), *literature_orders(families, known)]


def names_of_searches():
    """Return the names of the orders that the methods of the search propose."""
    source = inspect.getsource(search._searched)
    methods = [line.split('"')[1] for line in source.splitlines() if "yield " in line]
    assert len(methods) == 8, "the methods are not those of `yield`"
    return [slug(method) for method in methods]


@pytest.mark.parametrize(
    "name", [*names_of_a_study(), *names_of_heuristics(), *names_of_searches()]
)
def test_a_named_order_is_explained(name):
    assert order_description(name), f"{name} has no description"


def test_an_order_of_the_user_has_no_description():
    assert not order_description("mine")
    assert not order_description("mine-local-search")
