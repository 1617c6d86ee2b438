"""Malformed input of every kind is refused with one line: never taken, never a traceback.

Of junk, some happens to be well-formed and may pass. What is wrong however it was drawn, a sound
input with one thing spoilt, must be refused. Each test counts its refusals, so that the number that
`docs/trust.md` states is one that was tried.
"""

import copy
import json
import math
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainers import HELDOUT, LENGTH, UNIT_SIZE, UNITS, token_arrays, write_tokens
from trainorder.config.files import check_files
from trainorder.config.loading import load_config
from trainorder.config.sections import CorpusConfig, WindowConfig
from trainorder.config.study_config import parse
from trainorder.data.tokens import read_tokens
from trainorder.errors import UserError
from trainorder.orders.user_files import read_orders
from trainorder.storage import sealed_hdf5 as store

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "schemas/config.schema.yaml"
CONFIG = load_config(ROOT / "config.yaml")
WINDOW = WindowConfig(0, 4, 2, 1, 1, 0.0)
EXAMPLES = 700
fuzzed = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
fewer = settings(fuzzed, max_examples=EXAMPLES // 3)  # where an example takes long
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def refused():
    """Count the refusals of what had to be refused, and of junk, over the tests of this file."""
    counts = {"wrong": 0, "junk": 0}
    yield counts
    assert counts["wrong"] >= 2000, f"too few inputs had to be refused: {counts}"


def one_line(call, refused, kind="junk"):
    """Call; count a refusal, and return whether it was one."""
    try:
        call()
    except UserError as error:
        said = str(error)
    else:
        return False
    assert said.strip(), "refused without a word"
    assert "\n" not in said, f"more than one line: {said}"
    refused[kind] += 1
    return True


def must_refuse(call, refused):
    """Call with what is wrong however it was drawn."""
    assert one_line(call, refused, "wrong"), "malformed input was taken"


def places(value, path=()):
    """Yield the path of every value inside nested mappings and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


PLACES = sorted(places(CONFIG), key=str)


@fuzzed
@given(st.sampled_from(PLACES), JUNK, st.sampled_from(["replace", "remove", "add"]))
def test_a_configuration_with_a_wrong_value_is_one_line(refused, place, junk, how):
    config = changed(place, junk, how)
    one_line(lambda: (parse(config), check_files(config)), refused)


def changed(place, value, how):
    """Return the configuration with a value in a place of it, beside it, or without the place."""
    config = copy.deepcopy(CONFIG)
    *path, last = place
    section = config
    for key in path:
        section = section[key]
    if how == "replace":
        section[last] = value
    elif how == "remove":
        del section[last]
    elif isinstance(section, dict):
        section[f"{last}_"] = value
    else:
        section.insert(last, value)
    return config


NOWHERE = st.sampled_from(  # what no key takes, and no list
    [math.nan, math.inf, -math.inf, True, False, {"\0": None}, [None], {"": [True]}, [[math.nan]]]
)
REQUIRED = [p for p in PLACES if isinstance(p[-1], str) and p[0] != "estimators"]


@fewer
@given(
    st.tuples(st.sampled_from(PLACES), NOWHERE, st.sampled_from(["replace", "add"]))
    | st.tuples(st.sampled_from(REQUIRED), st.none(), st.just("remove"))
)
def test_a_configuration_that_is_wrong_in_one_place_is_refused(refused, change):
    config = changed(*change)
    must_refuse(lambda: parse(config), refused)


PATHS = [("orders", "custom"), ("corpus", "files"), ("corpus", "tokenizer"), ("model", "source")]
NO_PATH = st.builds(
    "{}{}{}".format,
    st.text(max_size=9),
    st.sampled_from("{}\0\n\x1f\x85\u2028\ud800"),
    st.text(max_size=9),
)


@fewer
@given(st.sampled_from([*PATHS, ("run", "checkpoints"), ("run", "order")]), NO_PATH)
def test_a_path_that_can_be_none_is_refused(refused, place, path):
    config = copy.deepcopy(CONFIG)
    section, key = place
    config["run"] = {"checkpoints": ".", "order": "."} if section == "run" else None
    config[section][key] = [path] if key == "files" else path
    must_refuse(lambda: parse(config), refused)


@fuzzed
@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_a_configuration_file_of_any_bytes_is_one_line(refused, tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(content)
    one_line(lambda: load_config(path), refused)


@fewer
@given(
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from([b"\xff", b"\0", b"\n- a\nb: 1", b"\nb: " + b"[" * 200, b"\n? 2001-99-99"]),
)
def test_a_configuration_file_with_a_spoilt_end_is_refused(refused, tmp_path_factory, start, end):
    path = tmp_path_factory.getbasetemp() / "spoilt.yaml"
    path.write_bytes(b"study: a\nnote: " + json.dumps(start.decode()).encode() + end)
    must_refuse(lambda: load_config(path), refused)


SCHEDULES = st.lists(st.integers(-2, 6) | st.floats() | st.text(max_size=2) | st.none(), max_size=8)
ENTRIES = st.fixed_dictionaries(
    {}, optional={"name": st.text(max_size=6) | JUNK, "schedule": SCHEDULES | JUNK, "kind": JUNK}
)
ORDERS = st.one_of(
    JUNK,
    ENTRIES,
    st.lists(ENTRIES, max_size=3),
    st.fixed_dictionaries({"orders": st.lists(ENTRIES, max_size=3)}),
)


@fuzzed
@given(ORDERS, st.integers(0, 30))
def test_a_json_file_of_orders_that_are_none_is_one_line(refused, tmp_path_factory, value, cut):
    path = tmp_path_factory.getbasetemp() / "fuzz.json"
    text = json.dumps(value)
    path.write_text(text[: len(text) - cut] if cut < 5 else text, encoding="utf-8")
    one_line(lambda: read_orders(path, WINDOW), refused)


UNITS_ONCE = st.permutations(range(4))
NAME = st.text("abc", min_size=1, max_size=4)
NO_UNIT = st.sampled_from(
    [True, False, None, "0", "", 1.0, 0.5, math.nan, -1, 4, 2**40, 2**70, [], {}]
)
NO_NAME = st.sampled_from(["", "reference", "random-0007", "\ud800", "a\0b", "a\nb", "a\u2028b"])
NO_KIND = JUNK.filter(lambda kind: kind not in ("free", "permutation"))


def put(schedule, place, values):
    """Return a schedule with some values, as many as may be, in one place."""
    return [*schedule[:place], *values, *schedule[place + 1 :]]


def spoilt(no_unit):
    """Return schedules that one place makes wrong: no unit, one twice, too few places, too many."""
    units = st.tuples(no_unit) | st.just([]) | st.permutations(range(4)).map(lambda all: all[:2])
    return st.builds(put, UNITS_ONCE, st.integers(0, 3), units) | st.builds(
        lambda once, place: put(once, place, [once[place - 1]]), UNITS_ONCE, st.integers(0, 3)
    )


def orders_with(**parts):
    """Return the text of an order, sound but for `parts`; without those that are None."""
    sound = {"name": NAME, "schedule": UNITS_ONCE, **parts}
    kept = {key: part for key, part in sound.items() if part is not None}
    return st.fixed_dictionaries(kept).map(json.dumps)


SPOILT_JSON = st.one_of(
    orders_with(schedule=spoilt(NO_UNIT)),
    orders_with(schedule=JUNK),
    orders_with(name=NO_NAME | JUNK.filter(lambda name: not isinstance(name, str))),
    orders_with(kind=NO_KIND),
    orders_with(shedule=UNITS_ONCE),
    orders_with(name=None),
    orders_with(schedule=None),
    st.builds(lambda text, cut: text[: cut % len(text)], orders_with(), st.integers(0, 99)),
    orders_with().map(lambda text: text[:-1] + ', "name": "mine"}'),
    st.integers(10**4, 10**5).map(lambda depth: "[" * depth),
)  # fmt: skip


@fuzzed
@given(SPOILT_JSON, st.sampled_from(["{}", "[{}]", '{{"orders": [{}]}}', '{{"mine": {}}}']))
def test_a_json_file_of_an_order_that_is_wrong_in_one_place_is_refused(
    refused, tmp_path_factory, text, form
):
    path = tmp_path_factory.getbasetemp() / "spoilt.json"
    path.write_text(form.format(text), encoding="utf-8")
    must_refuse(lambda: read_orders(path, WINDOW), refused)


CELLS = st.sampled_from(
    ["name", "kind", "free", "0", "1", "2", "3", "9", "x", "", '"', "1.5", "-1"]
)


@fuzzed
@given(st.lists(st.lists(CELLS, max_size=7), max_size=4), st.binary(max_size=6), st.booleans())
def test_a_csv_file_of_orders_that_are_none_is_one_line(
    refused, tmp_path_factory, rows, junk, headed
):
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    lines = ["name,0,1,2,3"] * headed + [",".join(row) for row in rows]
    path.write_bytes("\n".join(lines).encode() + junk)
    one_line(lambda: read_orders(path, WINDOW), refused)


NO_CELL = st.sampled_from(
    ["", "x", "1.5", "0_3", "+1", "1e0", "٣", "-1", "4", "9" * 30, "9" * 5000, "0x1", "1 2", "true"]
)
SPOILT_ROWS = st.one_of(  # a heading and a row
    st.tuples(st.just("name,1,2,3,4"), spoilt(NO_CELL).map(lambda cells: ["mine", *cells])),
    st.tuples(
        st.just("name,1,2,3,4"),
        st.builds(
            lambda *cells: [cells[0], *cells[1]],
            NO_NAME.map(lambda name: name.replace("\ud800", "\x7f").replace("\n", "\x1f")),
            UNITS_ONCE,
        ),
    ),
    st.tuples(
        st.sampled_from(["name,1,2,3", "name", "nam,1,2,3,4", "name;1;2;3;4", ""]),
        UNITS_ONCE.map(lambda units: ["mine", *units]),
    ),
    st.tuples(
        st.just("name,kind,1,2,3,4"),
        st.builds(
            lambda *cells: ["mine", cells[0], *cells[1]],
            st.sampled_from(["fre", "1", "Free", '"']),
            UNITS_ONCE,
        ),
    ),
)


@fuzzed
@given(SPOILT_ROWS, UNITS_ONCE, st.booleans())
def test_a_csv_file_of_an_order_that_is_wrong_in_one_place_is_refused(
    refused, tmp_path_factory, spoilt, sound, first
):
    path = tmp_path_factory.getbasetemp() / "spoilt.csv"
    heading, row = spoilt
    rows = [["sound", *[""] * heading.count("kind"), *sound], row][:: 1 if first else -1]
    lines = [heading, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    must_refuse(lambda: read_orders(path, WINDOW), refused)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "whole.h5"
    store.write_arrays(path, "k" * 16, {"x": np.arange(12.0), "names": ["a", "b"]}, step=3)
    return path.read_bytes()


@fuzzed
@given(st.data())
def test_a_store_with_any_bytes_changed_is_one_line(refused, tmp_path_factory, sealed, data):
    path, content = tmp_path_factory.getbasetemp() / "fuzz.h5", bytearray(sealed)
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=4, unique=True)):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content[: data.draw(st.just(len(content)) | places)]))
    must_refuse(lambda: store.read_arrays(path, "k" * 16, "warm"), refused)
    assert store.stated_key(path) is None, "a changed file was believed"


@pytest.fixture(scope="module")
def own_tokens(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokens") / "whole.safetensors"
    write_tokens(path, token_arrays())
    return path.read_bytes()


@fuzzed
@given(st.data())
def test_tokens_with_any_bytes_changed_are_one_line_or_other_tokens(
    refused, tmp_path_factory, own_tokens, data
):
    path, content = tmp_path_factory.getbasetemp() / "fuzz.safetensors", bytearray(own_tokens)
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=4, unique=True)):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content[: data.draw(st.just(len(content)) | places)]))
    corpus = {**CONFIG["corpus"], "source": "tokens", "files": [str(path)], "domains": None}
    corpus |= {"sequence_length": LENGTH, "heldout_sequences": HELDOUT}
    window = WindowConfig(0, UNITS, UNIT_SIZE, 1, 1, 0.0)
    one_line(lambda: read_tokens(CorpusConfig(**corpus), window, False), refused)


def resealed(path):
    """Give a file that was altered a seal that fits: what is wrong with it is its content."""
    with open(path, "r+b") as handle:
        handle.write(store._seal(path))


@fuzzed
@given(st.sampled_from(["gone", "number", "bytes", "array", "other"]), st.integers(0, 9))
def test_a_store_whose_header_is_another_is_one_line(
    refused, tmp_path_factory, sealed, what, number
):
    path = tmp_path_factory.getbasetemp() / "header.h5"
    path.write_bytes(sealed)
    with h5py.File(path, "r+") as file:
        del file.attrs["key"]
        if what != "gone":
            file.attrs["key"] = {
                "number": number, "bytes": np.bytes_(b"\xff%d" % number),
                "array": np.arange(number + 2), "other": f"another{number}",
            }[what]  # fmt: skip
    resealed(path)
    must_refuse(lambda: store.read_arrays(path, "k" * 16, "warm"), refused)
    assert store.stated_key(path) == (f"another{number}" if what == "other" else None)


def test_the_configuration_that_is_fuzzed_is_sound_itself():
    parse(CONFIG)
    assert yaml.safe_load((ROOT / "config.yaml").read_text()) == CONFIG
    assert not any(isinstance(v, float) and math.isnan(v) for v in CONFIG["optimizer"].values())
