"""Plain numbers in any format give the same orders as JSON."""

import io
import json

import numpy as np
import pytest

from trainorder.config.sections.window import WindowConfig
from trainorder.errors import UserError
from trainorder.orders.order import Order
from trainorder.orders.user_files import read_orders, read_reference

WINDOW = WindowConfig(
    warmup_steps=0, units=6, unit_size=1, units_per_step=2, epochs=1, mixed_fraction=0.0
)
ONE = np.array([5, 2, 0, 4, 1, 3])
SEVERAL = np.stack([ONE, ONE[::-1], np.arange(6), np.roll(ONE, 1)])


def saved(values, save=np.save, **named):
    buffer = io.BytesIO()
    save(buffer, *([] if named else [values]), **named)
    return buffer.getvalue()


def read(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_orders(path, WINDOW)


def lines(values, separator=","):
    return "\n".join(separator.join(map(str, row)) for row in np.atleast_2d(values)) + "\n"


STEPS = ONE.reshape(3, 2)
SINGLE = {  # files of the order ONE
    "flat.npy": saved(ONE.astype(np.uint32)),
    "steps.npy": saved(STEPS),
    "column.npy": saved(ONE[:, None]),
    "fortran.npy": saved(np.asfortranarray(STEPS)),
    "flat.npz": saved(ONE, np.savez),
    "packed.npz": saved(ONE, np.savez_compressed),
    "column.csv": lines(ONE[:, None]),
    "windows.csv": b"\xef\xbb\xbf" + lines(ONE[:, None]).replace("\n", "\r\n").encode(),
    "headed.csv": "unit\n" + lines(ONE[:, None]),
    "row.csv": lines(ONE),
    "steps.csv": lines(STEPS),
    "steps.tsv": lines(STEPS, "\t"),
    "blanks.txt": lines(STEPS, "  "),
    "list.json": json.dumps(ONE.tolist()),
    "steps.json": json.dumps(STEPS.tolist()),
    "list.yaml": "# the order of my run\n" + "".join(f"- {unit}\n" for unit in ONE),
    "flow.yml": str(STEPS.tolist()),
}


@pytest.mark.parametrize("name", SINGLE)
def test_one_order_is_named_after_its_file(tmp_path, name):
    [order] = read(tmp_path, name, SINGLE[name])
    assert (order.name, order.kind) == (name.split(".")[0], "permutation")
    assert order.schedule.dtype == np.int64
    assert order.schedule.tolist() == STEPS.tolist(), "the places are not in the order of the file"
    assert read_reference(tmp_path / name, WINDOW).tolist() == STEPS.tolist()
    assert np.array_equal(Order.from_json(tmp_path / name).schedule.ravel(), ONE)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.npy", saved(SEVERAL)),
        ("rows.npy", saved(SEVERAL.reshape(4, 3, 2))),
        ("rows.csv", lines(SEVERAL)),
        ("rows.json", json.dumps(SEVERAL.tolist())),
        ("rows.yaml", str(SEVERAL.reshape(4, 3, 2).tolist())),
    ],
)
def test_rows_that_fill_the_window_are_orders(tmp_path, name, content):
    orders = read(tmp_path, name, content)
    assert [order.name for order in orders] == ["rows-0", "rows-1", "rows-2", "rows-3"]
    assert [order.schedule.ravel().tolist() for order in orders] == SEVERAL.tolist()


def test_the_arrays_of_a_file_are_named_by_their_keys(tmp_path):
    orders = read(tmp_path, "a.npz", saved(None, np.savez, late=ONE, early=SEVERAL[:2]))
    assert [order.name for order in orders] == ["late", "early-0", "early-1"]


def test_yaml_holds_what_json_holds(tmp_path):
    [order] = read(tmp_path, "a.yaml", "orders:\n- name: mine\n  schedule: [5, 2, 0, 4, 1, 3]\n")
    assert (order.name, order.schedule.tolist()) == ("mine", STEPS.tolist())


BAD = {  # the name and content of a file, and parts of the error message
    "whole run": ("a.npy", saved(np.arange(600)), ["600 places", "has 6", "docs/orders.md"]),
    "instances": ("a.npy", saved(ONE + 9000), ["unit 9005 does not exist", "numbers from 0"]),
    "raw": ("a.npy", ONE.astype(np.uint32).tobytes(), ["no header of the .npy", "np.memmap"]),
    "floats": ("a.npy", saved(ONE / 1.0), ["dtype float64", "int64"]),
    "objects": ("a.npy", saved(np.array([None, 1])), ["not readable as an array"]),
    "cut off": ("a.npy", saved(ONE)[:-9], ["not readable as an array"]),
    "no arrays": ("a.npz", saved(None, np.savez, **{"": ONE})[:0], ["no header"]),
    "wrong width": ("a.npy", saved(SEVERAL[:, :5]), ["4 x 5 places", "3 steps of 2 units"]),
    "a number": ("a.npy", saved(np.array(3)), ["'a'", "places"]),
    "taken name": ("reversed.npy", saved(ONE), ["'reversed'", "reserved"]),
    "ragged rows": ("a.csv", "0,1\n2,3\n4\n", ["row 2 has 1 numbers", "row 0 has 2"]),
    "a word": ("a.csv", "0\n1\ntwo\n3\n4\n5\n", ["row 2 is 'two'", "whole number"]),
    "fractions": ("a.json", "[0.5, 1, 2, 3, 4, 5]", ["'a'", "whole numbers"]),
    "truth values": ("a.yaml", "[0, true, 2, 3, 4, 5]", ["'a'", "whole numbers"]),
    "ragged list": ("a.json", "[[0, 1], [2, 3], [4]]", ["rows have different lengths"]),
    "not YAML": ("a.yaml", "- [0, 1", ["cannot be read as YAML"]),
    "keys that are numbers": ("a.yaml", "{1: [0], a: [1]}", ["unknown key '1'"]),
    "twice": ("a.npy", saved(np.array([0, 0, 1, 2, 3, 4])), ["unit 0 occurs 2 times"]),
}


@pytest.mark.parametrize("case", BAD)
def test_an_invalid_file_raises_one_line(tmp_path, case):
    name, content, expected = BAD[case]
    with pytest.raises(UserError) as caught:
        read(tmp_path, name, content)
    message = str(caught.value)
    for part in (str(tmp_path / name), *expected):
        assert part in message, f"{part!r} is missing: {message}"
    assert "\n" not in message


@pytest.mark.parametrize("name", ["absent.npy", "absent.yaml", "absent.txt"])
def test_a_missing_file_raises_the_same_error_in_every_format(tmp_path, name):
    with pytest.raises(UserError, match=rf"{name}: no such file$"):
        read_orders(tmp_path / name, WINDOW)
