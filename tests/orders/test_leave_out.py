"""Leave-out orders omit units of the reference and keep the steps of all others."""

import numpy as np
import pytest

from trainorder.config.sections.window import WindowConfig
from trainorder.errors import UserError
from trainorder.orders.leave_out import without_units, write_leave_out
from trainorder.orders.order import Order
from trainorder.orders.user_files import read_orders
from trainorder.storage.formats import write_json

DOMAINS = ["a", "b"] * 6
SCHEDULE = np.random.default_rng(1).permutation(12).reshape(6, 2)


@pytest.mark.parametrize("left_out", [1, 5])
def test_the_other_units_keep_their_steps_and_substitutes_are_of_the_same_domain(left_out):
    schedule = without_units(SCHEDULE, DOMAINS, left_out, np.random.default_rng(0))
    assert len(np.unique(schedule)) == 12 - left_out
    changed = schedule != SCHEDULE
    assert changed.sum() == left_out
    for old, new in zip(SCHEDULE[changed], schedule[changed], strict=True):
        assert old not in schedule
        assert DOMAINS[old] == DOMAINS[new]


def test_a_unit_without_another_of_its_domain_is_replaced_by_any_other():
    domains = ["a"] * 2 + ["b"] * 10
    schedule = without_units(SCHEDULE, domains, 11, np.random.default_rng(0))
    assert len(np.unique(schedule)) == 1


def test_the_file_is_one_of_custom_orders(tmp_path):
    reference = Order("reference", "reference", "reference", SCHEDULE)
    content = {"orders": [reference.as_dict(reference)], "unit_domains": DOMAINS}
    write_json(tmp_path / "orders.json", content)
    paths = tmp_path / "orders.json", tmp_path / "leave-out.json"
    write_leave_out(*paths, count=3, left_out=2)
    orders = read_orders(paths[1], WindowConfig(units=12, units_per_step=2))
    assert [order.name for order in orders] == ["without-0", "without-1", "without-2"]
    assert len({order.schedule.tobytes() for order in orders}) == 3
    with pytest.raises(UserError, match="left_out: 12 of 12 units; expected 1 to 11"):
        write_leave_out(*paths, count=3, left_out=12)
