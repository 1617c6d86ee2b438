"""Pins and quotas that no order can meet raise before anything runs."""

import pytest

from configs import config
from trainorder.config.constraint_checks import check_constraints
from trainorder.config.sections.curriculum import CurriculumConfig
from trainorder.config.sections.window import WindowConfig


def checked(pinned=(), quotas=(), units_per_step=2):
    """Check constraints in a window of 16 units."""
    content = config(
        window__units=16, window__units_per_step=units_per_step,
        curriculum__pinned=list(pinned), curriculum__quotas=list(quotas),
    )  # fmt: skip
    check_constraints(CurriculumConfig(**content["curriculum"]), WindowConfig(**content["window"]))


def pin(unit, step):
    return {"unit": unit, "step": step}


def quota(domain, first, last, **bounds):
    return {"domain": domain, "first": first, "last": last, **bounds}


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({"pinned": [pin(16, 0)]}, r"pinned\[0\]: unit 16 does not exist; use a unit from 0 to 15"),
        ({"pinned": [pin(0, 8)]}, r"pinned\[0\]: step 8 does not exist; use a step from 0 to 7"),
        (
            {"pinned": [pin(3, 1), pin(0, 0), pin(3, 2)]},
            r"pinned\[2\]: unit 3 is pinned twice, to steps 1 and 2",
        ),
        (
            {"pinned": [pin(unit, 5) for unit in range(3)]},
            "pinned: 3 units are pinned to step 5, but a step consumes 2",
        ),
        ({"quotas": [quota("code", 3, 1)]}, r"quotas\[0\]: steps 3 to 1 are not a span"),
        ({"quotas": [quota("code", 3, 8)]}, r"quotas\[0\]: steps 3 to 8 are not a span"),
        (
            {"quotas": [quota("code", 0, 3), quota("code", 0, 3, least=3, most=2)]},
            r"quotas\[1\]: least 3 is larger than most 2",
        ),
        (
            {"quotas": [quota("code", 2, 3, least=5)]},
            r"quotas\[0\]: least 5 is larger than the 4 places in steps 2 to 3",
        ),
        (
            {"quotas": [quota("code", 0, 0, least=2), quota("drama", 0, 1, least=3)]},
            "code and drama together need at least 5 places in steps 0 to 1, which have 4",
        ),
    ],
)
def test_constraints_that_exclude_every_order_raise(constraints, message):
    with pytest.raises(ValueError, match=message):
        checked(**constraints)


@pytest.mark.parametrize(
    "constraints",
    [
        {"pinned": [pin(0, 5), pin(1, 5)]},
        {"quotas": [quota("code", 2, 3, least=4, most=4)]},
        {"quotas": [quota("code", 0, 0, least=2), quota("drama", 0, 1, least=2)]},
        {"quotas": [quota("code", 0, 1, least=3), quota("code", 0, 1, least=2)]},
        {"quotas": [quota("code", 0, 7, most=0)]},
    ],
)
def test_constraints_with_just_enough_room_pass(constraints):
    checked(**constraints)
