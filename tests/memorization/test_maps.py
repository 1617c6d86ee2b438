"""Maps contain the effects of the right unit, position and text."""

import numpy as np

from trainorder.evaluation.outcomes import Outcomes
from trainorder.memorization.maps import (
    MOVES,
    estimated_maps,
    position_effects,
    quantities,
    true_maps,
)

DOMAINS, UNITS = ["a", "b", "c"], ["b", "mixed"]


def test_generalization_is_to_the_unit_s_domain_and_to_the_others():
    heldout = np.array([[1.0, 2.0, 5.0], [1.0, 2.0, 6.0]])
    actual = quantities(np.array([7.0, 8.0]), heldout, DOMAINS, UNITS, [0, 1])
    assert actual["own"].tolist() == [7.0, 8.0]
    assert actual["same"].tolist() == [2.0, 3.0], "a mixed unit is of all domains"
    assert actual["other"][0] == 3.0
    assert np.isnan(actual["other"][1]), "a mixed unit has no other domains"


def test_presence_is_insertion_less_absence():
    moved = {"swap": np.array([3.0]), "insertion": np.array([2.0]), "absence": np.array([2.5])}
    actual = position_effects(moved, np.array([1.0]))
    assert {name: values.tolist() for name, values in actual.items()} == {
        "swap": [2.0],
        "insertion": [1.0],
        "presence": [-0.5],
    }


def arrays(rng, steps=3):
    inputs = {"own_base": rng.random(2), "heldout_base": rng.random((2, 3))}
    for move in MOVES:
        inputs[f"own_{move}"] = rng.random((2, steps))
        inputs[f"heldout_{move}"] = rng.random((2, steps, 3))
    return inputs


def test_true_maps_of_all_cells_are_the_estimated_ones():
    inputs = arrays(np.random.default_rng(0))
    inputs["heldout_base"][1] = inputs["heldout_base"][0]  # one reference order for all units
    expected = estimated_maps(inputs, DOMAINS, UNITS)
    records = [{"name": "reference", "units": [0, 1]}]
    rows, losses = [inputs["heldout_base"][0]], [inputs["own_base"]]
    for move in MOVES:
        for unit in (0, 1):
            for step in range(3):
                name = f"{move}{unit}{step}"
                records.append({"name": name, "kind": move, "units": [unit], "step": step})
                rows.append(inputs[f"heldout_{move}"][unit, step])
                losses.append(
                    np.where(np.arange(2) == unit, inputs[f"own_{move}"][unit, step], np.nan)
                )
    value = np.column_stack([np.mean(rows, axis=1), rows])
    empty = np.empty((len(rows), 0))
    metrics = ["heldout", *(f"heldout/{name}" for name in DOMAINS)]
    names = [record["name"] for record in records]
    truth = Outcomes(names, metrics, value, empty, {}, empty, empty, np.array(losses))
    actual = true_maps(truth, records, DOMAINS, UNITS, 3)
    for quantity, maps in expected.items():
        for name, values in maps.items():
            np.testing.assert_allclose(actual[quantity][name], values, err_msg=f"{quantity} {name}")
    part = true_maps(truth, records[:2], DOMAINS, UNITS, 3)["own"]["swap"]
    assert np.isfinite(part).sum() == 1, "a cell that was not retrained has a value"
