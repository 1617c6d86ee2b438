"""Orders are read from CSV as from JSON; an invalid file raises one line."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainorder.config.sections.window import WindowConfig
from trainorder.errors import UserError
from trainorder.orders.user_files import read_orders

WINDOW = WindowConfig(
    warmup_steps=0, units=6, unit_size=1, units_per_step=2, epochs=1, mixed_fraction=0.0
)
PLACES = "name,1,2,3,4,5,6\n"
KINDS = "name,kind,1,2,3,4,5,6\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("orders")


def read(folder, text, name="mine.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_orders(path, WINDOW)


def same(one, other):
    """Return whether two lists of orders are the same."""
    return [(o.name, o.kind, o.split, o.schedule.tolist()) for o in one] == [
        (o.name, o.kind, o.split, o.schedule.tolist()) for o in other
    ]


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(st.permutations(range(6)), min_size=1, max_size=4), st.booleans())
def test_orders_read_the_same_from_csv_as_from_json(folder, schedules, free):
    kind = {"kind": "free"} if free else {}
    entries = [{"name": f"o{i}", "schedule": s, **kind} for i, s in enumerate(schedules)]
    rows = [
        ",".join([entry["name"], *kind.values(), *map(str, entry["schedule"])]) for entry in entries
    ]
    text = (KINDS if free else PLACES) + "\n".join(rows)
    assert same(read(folder, text), read(folder, json.dumps(entries), "mine.json"))


def test_the_places_of_a_row_are_in_the_order_of_training(folder):
    [order] = read(folder, PLACES + "mine,5,4,3,2,1,0\n")
    assert order.schedule.tolist() == [[5, 4], [3, 2], [1, 0]]


def test_one_row_may_be_free_where_others_are_permutations(folder):
    orders = read(folder, KINDS + "a,free,0,0,1,1,2,2\nb,,0,1,2,3,4,5\nc,permutation,5,4,3,2,1,0\n")
    assert [order.kind for order in orders] == ["free", "permutation", "permutation"]


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbf" + PLACES.encode() + b"mine,0,1,2,3,4,5\r\n",
        PLACES + "\n  mine , 0, 1, 2,3,4 ,5\n,,,,,,\n\n",
        PLACES + '"mine","0","1","2","3","4","5"',
        "name,a,b,c,d,e,f\nmine,0,1,2,3,4,5",
    ],
    ids=["by a spreadsheet", "blanks", "quoted", "other headings"],
)
def test_what_spreadsheets_add_is_ignored(folder, text):
    assert same(read(folder, text), read(folder, PLACES + "mine,0,1,2,3,4,5\n"))


def test_the_file_ending_may_be_in_capitals(folder):
    [order] = read(folder, PLACES + "mine,0,1,2,3,4,5\n", "MINE.CSV")
    assert np.array_equal(order.schedule.ravel(), np.arange(6))


BAD = {  # the text, and parts of the error message
    "empty": ("", ["no orders"]),
    "blank": ("\n ,\n", ["no orders"]),
    "only a heading": (PLACES, ["no orders"]),
    "no heading": (
        "mine,0,1,2,3,4,5\nb,0,1,2,3,4,5\n",
        [
            "column names is missing: the file begins with 'mine'",
            "`name`, `kind` (optional), then one",
        ],
    ),
    "one order without a heading": ("mine,0,1,2,3,4,5\n", ["column names is missing", "`name`"]),
    "heading without a name": ("order,1,2\nmine,0,1\n", ["the file begins with 'order'", "`name`"]),
    "semicolons": ("name;1;2\nmine;0;1\n", ["begins with 'name;1;2'", "commas"]),
    "not UTF-8": (b"name,1\nmine,\xff\n", ["not readable as CSV"]),
    "unclosed quote": (PLACES + 'mine,"0,1,2,3,4,5\n', ["not readable as CSV"]),
    "duplicate unit": (PLACES + "mine,0,0,2,3,4,5\n", ["'mine'", "unit 0 occurs 2 times"]),
    "missing unit": (PLACES + "mine,0,1,2,3,4,4\n", ["'mine'", "not a permutation"]),
    "unknown unit": (PLACES + "mine,0,1,2,3,4,6\n", ["'mine'", "unit 6 does not exist"]),
    "negative unit": (PLACES + "mine,0,1,2,3,4,-1\n", ["'mine'", "unit -1 does not exist"]),
    "too short": (PLACES + "mine,0,1,2\n", ["'mine'", "3 places", "3 steps of 2 units"]),
    "too long": (PLACES + "mine,0,1,2,3,4,5,5\n", ["'mine'", "7 places"]),
    "longer than the heading": (
        "name,1,2\nmine,0,1,2,3,4,5\n",
        ["'mine'", "6 places, but the first line names 2"],
    ),
    "longer than the heading by a comma": (
        KINDS + "mine,,0,1,2,3,4,5,\n",
        ["'mine'", "7 places", "the row ends with a separator, remove it"],
    ),
    "a comma at the end of every line": (
        "name,1,2,3,4,5,6,\nmine,0,1,2,3,4,5,\n",
        ["'mine'", "place 6 is ''", "the row ends with a separator, remove it"],
    ),
    "no places": (PLACES + "mine\n", ["'mine'", "whole numbers"]),
    "padded": (PLACES + "mine,0,1,2,3,4,\n", ["'mine'", "place 5 is ''", "whole number; the row"]),
    "a word": (PLACES + "mine,0,one,2,3,4,5\n", ["'mine'", "place 1 is 'one'"]),
    "a fraction": (PLACES + "mine,0,1.5,2,3,4,5\n", ["'mine'", "place 1 is '1.5'"]),
    "a number as Python writes it": (PLACES + "mine,0_0,1,2,3,4,5\n", ["'mine'", "'0_0'"]),
    "digits of another script": (PLACES + "mine,0,1,2,3,4,５\n", ["'mine'", "is '５'"]),
    "more digits than a number has": (PLACES + f"mine,{'1' * 5000},1,2,3,4,5\n", ["place 0"]),
    "a huge number": (PLACES + f"mine,0,{2**70},2,3,4,5\n", ["'mine'", "whole numbers"]),
    "duplicate name": (PLACES + "mine,0,1,2,3,4,5\n" * 2, ["'mine'", "duplicate name"]),
    "no name": (PLACES + ",0,1,2,3,4,5\n", ["order 0", "`name`"]),
    "unknown kind": (KINDS + "mine,fre,0,1,2,3,4,5\n", ["'mine'", "`kind` is 'fre'"]),
    "kind without a heading": (PLACES + "mine,free,0,1,2,3,4\n", ["'mine'", "is 'free'"]),
}


@pytest.mark.parametrize("case", BAD)
def test_invalid_csv_raises_one_line_with_the_file_and_the_order(folder, case):
    text, expected = BAD[case]
    with pytest.raises(UserError) as caught:
        read(folder, text)
    message = str(caught.value)
    for part in (str(folder / "mine.csv"), *expected):
        assert part in message, f"{part!r} is missing: {message}"
    assert "\n" not in message


def test_a_missing_file_raises_the_same_error_as_for_json(folder):
    for name in ("absent.csv", "absent.json"):
        with pytest.raises(UserError, match=rf"{name}: no such file$"):
            read_orders(folder / name, WINDOW)
