"""Constraints that contradict the reference order or the corpus raise before anything runs."""

import numpy as np
import pytest

from configs import config
from trainorder.config.sections.orders import OrdersConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.curriculum.constraints import places
from trainorder.curriculum.feasibility import check_feasible
from trainorder.errors import UserError
from trainorder.orders.generate import reference_schedule, study_orders

CONFIG = config()
WINDOW = WindowConfig(**CONFIG["window"])
REFERENCE = reference_schedule(WINDOW, CONFIG["seeds"]["order"])


def test_the_reference_schedule_is_that_of_the_study():
    orders = study_orders(
        OrdersConfig(**CONFIG["orders"]), WINDOW, CONFIG["seeds"]["order"],
        ["code"] * WINDOW.units, np.arange(WINDOW.units),
    )  # fmt: skip
    assert np.array_equal(orders.reference.schedule, REFERENCE)


def test_a_pin_beyond_the_furthest_move_raises():
    home = int(places(REFERENCE[None])[0][7])
    away = home + 3 if home + 3 < WINDOW.steps else home - 3
    pins = [{"unit": 7, "step": away}]
    check_feasible(config(curriculum__pinned=pins, curriculum__furthest=3))
    check_feasible(config(curriculum__pinned=pins))
    message = rf"pinned\[0\]: step {away} is 3 steps from step {home}.*furthest, which is 2"
    with pytest.raises(UserError, match=message):
        check_feasible(config(curriculum__pinned=pins, curriculum__furthest=2))


@pytest.mark.parametrize(("domain", "count"), [("scripture", 5), ("code", 4), ("mixed", 8)])
def test_a_quota_for_more_units_than_the_domain_has_raises(domain, count):
    """In the default study 8 of 32 units are mixed, and five domains share the other 24."""
    quotas = [{"domain": domain, "first": 0, "last": 31, "least": count}]
    check_feasible(config(curriculum__quotas=quotas))
    quotas[0]["least"] += 1
    with pytest.raises(UserError, match=rf"quotas\[0\]: least {count + 1} .* the {count} units of"):
        check_feasible(config(curriculum__quotas=quotas))


def test_quotas_are_not_checked_if_the_domains_are_unknown():
    quotas = [{"domain": "any", "first": 0, "last": 31, "least": 30}]
    changes = {"corpus__source": "hub", "corpus__hub": {"name": "x", "split": "train"}}
    check_feasible(config(curriculum__quotas=quotas, **changes))


def test_without_a_search_nothing_is_checked():
    check_feasible(config(curriculum=None))
