"""Plain numbers in any format give the same orders as JSON."""

import io
import json

import numpy as np
import pandas
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
    "marked.json": b"\xef\xbb\xbf" + json.dumps(ONE.tolist()).encode(),
    "marked.yaml": b"\xef\xbb\xbf" + str(ONE.tolist()).encode(),
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
    "no rows": ("a.npy", saved(np.zeros((0, 6), int)), ["no orders", "0 x 6"]),
    "no blocks": ("a.npy", saved(np.zeros((0, 3, 2), int)), ["no orders", "0 x 3 x 2"]),
    "an empty array": ("a.npz", saved(None, np.savez, b=np.zeros(0, int)), ["'b'", "no orders"]),
    "a comma at the end": ("a.csv", "0,1,2,3,4,5,\n", ["row 0 is ''", "ends with a separator"]),
    "a comma at one end": ("a.csv", "5,1\n2,3,\n4,0", ["row 1 has 3", "ends with a separator"]),
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


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.pt", "a.npy.gz", "a", "a.JSON5"])
def test_a_file_of_another_kind_raises_with_the_kinds(tmp_path, name):
    with pytest.raises(UserError) as caught:
        read(tmp_path, name, json.dumps(ONE.tolist()))
    assert name in str(caught.value)
    assert "expected .json, .yaml, .yml, .csv, .tsv, .txt, .npy, .npz" in str(caught.value)


def framed(values, **options):
    return pandas.DataFrame(values).to_csv(index=False, **options)


@pytest.mark.parametrize("values", [SEVERAL, ONE[None], ONE[:, None], STEPS], ids=np.shape)
@pytest.mark.parametrize(("ending", "separator"), [(".csv", ","), (".tsv", "\t"), (".txt", ",")])
def test_the_column_numbers_of_pandas_are_no_order(tmp_path, values, ending, separator):
    path = tmp_path / f"a{ending}"
    path.write_text(framed(values, sep=separator))
    for read_file in (lambda: read_orders(path, WINDOW), lambda: Order.from_json(path)):
        with pytest.raises(UserError, match=r"counts from 0 to \d, as pandas .*header=False"):
            read_file()
    expected = [row.tolist() for row in values.reshape(-1, 6)]
    path.write_text(framed(values, sep=separator, header=False))
    assert [order.schedule.ravel().tolist() for order in read_orders(path, WINDOW)] == expected
    assert Order.from_json(path).schedule.ravel().tolist() == values.ravel().tolist()


@pytest.mark.parametrize("shape", [(6,), (6, 1), (3, 2), (1, 6)])
def test_the_first_order_of_all_is_an_order_alone(tmp_path, shape):
    """It begins with 0, 1, ... as the column numbers of pandas do."""
    [order] = read(tmp_path, "a.csv", lines(np.arange(6).reshape(shape)))
    assert order.schedule.ravel().tolist() == list(range(6))
    alone = Order.from_json(tmp_path / "a.csv")
    assert alone.schedule.ravel().tolist() == list(range(6))


def test_what_savetxt_writes_as_floats_raises_with_the_format_for_whole_numbers(tmp_path):
    for values in (ONE, STEPS, SEVERAL):
        for options in ({}, {"delimiter": ","}, {"delimiter": ";", "fmt": "%d"}, {"fmt": "%.2f"}):
            for name in ("a.csv", "a.txt"):
                np.savetxt(tmp_path / name, values, **options)
                if options.get("fmt") == "%d" and values.ndim == 1:
                    continue  # has no separator
                with pytest.raises(UserError, match=r'whole numbers .*np\.savetxt.*fmt="%d"'):
                    read_orders(tmp_path / name, WINDOW)
            np.savetxt(tmp_path / "a.csv", values, fmt="%d", delimiter=",")
            assert read_orders(tmp_path / "a.csv", WINDOW)


@pytest.mark.parametrize("name", ["absent.npy", "absent.yaml", "absent.txt"])
def test_a_missing_file_raises_the_same_error_in_every_format(tmp_path, name):
    with pytest.raises(UserError, match=rf"{name}: no such file$"):
        read_orders(tmp_path / name, WINDOW)
