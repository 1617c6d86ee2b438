"""The effects of poisoned units are those of their own rows of the maps."""

import numpy as np

from trainorder.memorization.maps import MAPS, QUANTITIES
from trainorder.memorization.poisoned import poisoned_cells, poisoned_effects

DOMAINS = ["a", "poisoned", "mixed"]


def test_a_poisoned_unit_is_first_in_the_middle_and_last():
    assert poisoned_cells(DOMAINS, 7) == [[1, 0], [1, 3], [1, 6]]
    assert poisoned_cells(DOMAINS, 2) == [[1, 0], [1, 1]], "a position is listed twice"
    assert poisoned_cells(["a", "mixed"], 7) == []


def test_effects_are_the_presence_of_the_unit_in_all_domains_and_on_itself():
    rng = np.random.default_rng(0)
    estimated, true = (
        {quantity: {name: rng.random((3, 5)) for name in MAPS} for quantity in QUANTITIES}
        for _ in range(2)
    )
    true["same"]["presence"][1, 2] = np.nan
    effects = poisoned_effects(estimated, true, DOMAINS, 5)
    assert [(one["unit"], one["step"]) for one in effects] == [(1, 0), (1, 2), (1, 4)]
    for one in effects:
        for name, quantity in (("heldout", "same"), ("own", "own")):
            values = estimated[quantity]["presence"][:, one["step"]]
            assert one[name]["estimated"] == values[1], "another row or quantity"
            assert one[name]["clean"] == (values[0] + values[2]) / 2
    assert effects[1]["heldout"]["true"] is None, "a cell that was not retrained has a truth"
    assert effects[2]["own"]["true"] == true["own"]["presence"][1, 4]
