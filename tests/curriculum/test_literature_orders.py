"""Families of orders are independent permutations that any orthonormal basis gives."""

from typing import get_args

import numpy as np
import pytest

from trainorder.config.sections.curriculum import OrderFamily
from trainorder.curriculum.literature_orders import (
    WORST,
    UnitFeatures,
    literature_count,
    literature_orders,
)

FAMILIES = get_args(OrderFamily)
RNG = np.random.default_rng(0)
KNOWN = UnitFeatures(
    RNG.standard_normal(30),
    RNG.standard_normal((30, 4)).astype(np.float32),
    [["code", "news", "talk"][i % 3] for i in range(30)],
    RNG.permutation(30),
)


def test_no_family_gives_no_order():
    assert literature_orders([], KNOWN) == {}
    assert literature_count([], 3) == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_has_as_many_permutations_as_are_planned(family):
    orders = literature_orders([family], KNOWN)
    assert len(orders) == literature_count([family], 3) - (family == WORST)
    for name, visits in orders.items():
        assert sorted(visits) == list(range(30)), f"{name} is not a permutation"


def test_families_do_not_depend_on_each_other():
    together = literature_orders(FAMILIES, KNOWN)
    assert len(together) == literature_count(FAMILIES, 3) - 1
    for family in FAMILIES:
        for name, visits in literature_orders([family], KNOWN).items():
            assert np.array_equal(visits, together[name])


def test_orders_depend_neither_on_the_basis_nor_on_the_mean_of_the_gradients():
    turn, _ = np.linalg.qr(RNG.standard_normal((4, 4)))
    gradients = KNOWN.gradients.astype(np.float64)
    moved = UnitFeatures(KNOWN.losses, gradients @ turn + 3, KNOWN.domains, KNOWN.reference)
    before, after = (literature_orders(["balanced", "distance"], known) for known in (KNOWN, moved))
    for name, visits in before.items():
        assert np.array_equal(visits, after[name]), name


def test_typical_units_have_gradients_near_the_mean():
    orders = literature_orders(["distance"], KNOWN)
    distance = np.linalg.norm(KNOWN.gradients - KNOWN.gradients.mean(axis=0), axis=1)
    assert (np.diff(distance[orders["typical-first"]]) >= 0).all()
    assert orders["typical-last"].tolist() == orders["typical-first"][::-1].tolist()
