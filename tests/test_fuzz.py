"""Malformed input of every kind raises an error of one line, without a traceback.

Random junk may be valid by chance and may pass. A valid input with one defect must raise. Every
test counts its errors, so that the number in `docs/trust.md` is checked.
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
from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.config.study_config import parse
from trainorder.data.tokens import read_tokens
from trainorder.errors import UserError
from trainorder.orders.user_files import read_orders
from trainorder.storage import sealed_hdf5 as store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "schemas/config.schema.yaml"
CONFIG = load_config(ROOT / "config.yaml")
WINDOW = WindowConfig(0, 4, 2, 1, 1, 0.0)
EXAMPLES = 700
fuzzed = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
fewer = settings(fuzzed, max_examples=EXAMPLES // 3)  # for slow examples
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def error_counts():
    """Count the errors for invalid input and for junk, over the tests of this file."""
    counts = {"invalid": 0, "junk": 0}
    yield counts
    assert counts["invalid"] >= 2000, f"too few invalid inputs were tested: {counts}"


def raises_one_line(call, error_counts, kind="junk"):
    """Return whether `call` raises a UserError, and count it; its message must be one line."""
    try:
        call()
    except UserError as error:
        message = str(error)
    else:
        return False
    assert message.strip(), "the error message is empty"
    assert "\n" not in message, f"more than one line: {message}"
    error_counts[kind] += 1
    return True


def must_raise(call, error_counts):
    """Check that `call`, with invalid input, raises a UserError of one line."""
    assert raises_one_line(call, error_counts, "invalid"), "invalid input was accepted"


def key_paths(value, path=()):
    """Yield the path of every value inside nested mappings and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from key_paths(inner, (*path, key))


KEY_PATHS = sorted(key_paths(CONFIG), key=str)


@fuzzed
@given(st.sampled_from(KEY_PATHS), JUNK, st.sampled_from(["replace", "remove", "add"]))
def test_a_configuration_with_a_random_value_raises_at_most_one_line(
    error_counts, place, junk, how
):
    config = changed(place, junk, how)
    raises_one_line(lambda: (parse(config), check_files(config)), error_counts)


def changed(key_path, value, how):
    """Return the configuration with the value at a path replaced or removed, or with a new key."""
    config = copy.deepcopy(CONFIG)
    *parents, last = key_path
    section = config
    for key in parents:
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


INVALID_VALUE = st.sampled_from(  # invalid for every key and as an item of every list
    [math.nan, math.inf, -math.inf, True, False, {"\0": None}, [None], {"": [True]}, [[math.nan]]]
)
REQUIRED = [p for p in KEY_PATHS if isinstance(p[-1], str) and p[0] != "estimators"]


@fewer
@given(
    st.tuples(st.sampled_from(KEY_PATHS), INVALID_VALUE, st.sampled_from(["replace", "add"]))
    | st.tuples(st.sampled_from(REQUIRED), st.none(), st.just("remove"))
)
def test_a_configuration_with_one_invalid_value_raises(error_counts, change):
    config = changed(*change)
    must_raise(lambda: parse(config), error_counts)


PATHS = [("orders", "custom"), ("corpus", "files"), ("corpus", "tokenizer"), ("model", "source")]
INVALID_PATH = st.builds(
    "{}{}{}".format,
    st.text(max_size=9),
    st.sampled_from("{}\0\n\x1f\x85\u2028\ud800"),
    st.text(max_size=9),
)


@fewer
@given(st.sampled_from([*PATHS, ("run", "checkpoints"), ("run", "order")]), INVALID_PATH)
def test_an_invalid_path_raises(error_counts, place, path):
    config = copy.deepcopy(CONFIG)
    section, key = place
    config["run"] = {"checkpoints": ".", "order": "."} if section == "run" else None
    config[section][key] = [path] if key == "files" else path
    must_raise(lambda: parse(config), error_counts)


@fuzzed
@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_a_configuration_file_of_any_bytes_raises_at_most_one_line(
    error_counts, tmp_path_factory, content
):
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(content)
    raises_one_line(lambda: load_config(path), error_counts)


@fewer
@given(
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from([b"\xff", b"\0", b"\n- a\nb: 1", b"\nb: " + b"[" * 200, b"\n? 2001-99-99"]),
)
def test_a_configuration_file_with_an_invalid_end_raises(
    error_counts, tmp_path_factory, start, end
):
    path = tmp_path_factory.getbasetemp() / "invalid.yaml"
    path.write_bytes(b"study: a\nnote: " + json.dumps(start.decode()).encode() + end)
    must_raise(lambda: load_config(path), error_counts)


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
def test_a_random_json_file_raises_at_most_one_line(error_counts, tmp_path_factory, value, cut):
    path = tmp_path_factory.getbasetemp() / "fuzz.json"
    text = json.dumps(value)
    path.write_text(text[: len(text) - cut] if cut < 5 else text, encoding="utf-8")
    raises_one_line(lambda: read_orders(path, WINDOW), error_counts)


VALID_SCHEDULE = st.permutations(range(4))
NAME = st.text("abc", min_size=1, max_size=4)
INVALID_UNIT = st.sampled_from(
    [True, False, None, "0", "", 1.0, 0.5, math.nan, -1, 4, 2**40, 2**70, [], {}]
)
INVALID_NAME = st.sampled_from(
    ["", "reference", "random-0007", "\ud800", "a\0b", "a\nb", "a\u2028b"]
)
INVALID_KIND = JUNK.filter(lambda kind: kind not in ("free", "permutation"))


def put(schedule, place, values):
    """Return a schedule with the value at `place` replaced by `values`, which may be none."""
    return [*schedule[:place], *values, *schedule[place + 1 :]]


def invalid_schedules(invalid_unit):
    """Return schedules with an invalid unit, a duplicate unit, or a wrong number of places."""
    units = (
        st.tuples(invalid_unit) | st.just([]) | st.permutations(range(4)).map(lambda all: all[:2])
    )
    return st.builds(put, VALID_SCHEDULE, st.integers(0, 3), units) | st.builds(
        lambda once, place: put(once, place, [once[place - 1]]), VALID_SCHEDULE, st.integers(0, 3)
    )


def orders_with(**parts):
    """Return the JSON of a valid order with `parts` replaced, or removed if they are None."""
    all_parts = {"name": NAME, "schedule": VALID_SCHEDULE, **parts}
    present = {key: part for key, part in all_parts.items() if part is not None}
    return st.fixed_dictionaries(present).map(json.dumps)


INVALID_JSON = st.one_of(
    orders_with(schedule=invalid_schedules(INVALID_UNIT)),
    orders_with(schedule=JUNK),
    orders_with(name=INVALID_NAME | JUNK.filter(lambda name: not isinstance(name, str))),
    orders_with(kind=INVALID_KIND),
    orders_with(shedule=VALID_SCHEDULE),
    orders_with(name=None),
    orders_with(schedule=None),
    st.builds(lambda text, cut: text[: cut % len(text)], orders_with(), st.integers(0, 99)),
    orders_with().map(lambda text: text[:-1] + ', "name": "custom"}'),
    st.integers(10**4, 10**5).map(lambda depth: "[" * depth),
)  # fmt: skip


@fuzzed
@given(INVALID_JSON, st.sampled_from(["{}", "[{}]", '{{"orders": [{}]}}', '{{"custom": {}}}']))
def test_a_json_file_with_one_defect_raises(error_counts, tmp_path_factory, text, form):
    path = tmp_path_factory.getbasetemp() / "invalid.json"
    path.write_text(form.format(text), encoding="utf-8")
    must_raise(lambda: read_orders(path, WINDOW), error_counts)


CELLS = st.sampled_from(
    ["name", "kind", "free", "0", "1", "2", "3", "9", "x", "", '"', "1.5", "-1"]
)


@fuzzed
@given(st.lists(st.lists(CELLS, max_size=7), max_size=4), st.binary(max_size=6), st.booleans())
def test_a_random_csv_file_raises_at_most_one_line(
    error_counts, tmp_path_factory, rows, junk, headed
):
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    lines = ["name,0,1,2,3"] * headed + [",".join(row) for row in rows]
    path.write_bytes("\n".join(lines).encode() + junk)
    raises_one_line(lambda: read_orders(path, WINDOW), error_counts)


INVALID_CELL = st.sampled_from(
    ["", "x", "1.5", "0_3", "+1", "1e0", "٣", "-1", "4", "9" * 30, "9" * 5000, "0x1", "1 2", "true"]
)
INVALID_ROWS = st.one_of(  # a heading and a row
    st.tuples(
        st.just("name,1,2,3,4"),
        invalid_schedules(INVALID_CELL).map(lambda cells: ["custom", *cells]),
    ),
    st.tuples(
        st.just("name,1,2,3,4"),
        st.builds(
            lambda *cells: [cells[0], *cells[1]],
            INVALID_NAME.map(lambda name: name.replace("\ud800", "\x7f").replace("\n", "\x1f")),
            VALID_SCHEDULE,
        ),
    ),
    st.tuples(
        st.sampled_from(["name,1,2,3", "name", "nam,1,2,3,4", "name;1;2;3;4", ""]),
        VALID_SCHEDULE.map(lambda units: ["custom", *units]),
    ),
    st.tuples(
        st.just("name,kind,1,2,3,4"),
        st.builds(
            lambda *cells: ["custom", cells[0], *cells[1]],
            st.sampled_from(["fre", "1", "Free", '"']),
            VALID_SCHEDULE,
        ),
    ),
)


@fuzzed
@given(INVALID_ROWS, VALID_SCHEDULE, st.booleans())
def test_a_csv_file_with_one_defect_raises(
    error_counts, tmp_path_factory, row_with_heading, valid, first
):
    path = tmp_path_factory.getbasetemp() / "invalid.csv"
    heading, row = row_with_heading
    rows = [["valid", *[""] * heading.count("kind"), *valid], row][:: 1 if first else -1]
    lines = [heading, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    must_raise(lambda: read_orders(path, WINDOW), error_counts)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "whole.h5"
    store.write_arrays(path, "k" * 16, {"x": np.arange(12.0), "names": ["a", "b"]}, step=3)
    return path.read_bytes()


@fuzzed
@given(st.data())
def test_a_store_file_with_changed_bytes_raises(error_counts, tmp_path_factory, sealed, data):
    path, content = tmp_path_factory.getbasetemp() / "fuzz.h5", bytearray(sealed)
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=4, unique=True)):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content[: data.draw(st.just(len(content)) | places)]))
    must_raise(lambda: store.read_arrays(path, "k" * 16, "warm"), error_counts)
    assert store.stated_key(path) is None, "the key of a changed file was accepted"


@pytest.fixture(scope="module")
def own_tokens(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokens") / "whole.safetensors"
    write_tokens(path, token_arrays())
    return path.read_bytes()


@fuzzed
@given(st.data())
def test_tokens_with_changed_bytes_raise_at_most_one_line(
    error_counts, tmp_path_factory, own_tokens, data
):
    path, content = tmp_path_factory.getbasetemp() / "fuzz.safetensors", bytearray(own_tokens)
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=4, unique=True)):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content[: data.draw(st.just(len(content)) | places)]))
    corpus = {**CONFIG["corpus"], "source": "tokens", "files": [str(path)], "domains": None}
    corpus |= {"sequence_length": LENGTH, "heldout_sequences": HELDOUT}
    window = WindowConfig(0, UNITS, UNIT_SIZE, 1, 1, 0.0)
    raises_one_line(lambda: read_tokens(CorpusConfig(**corpus), window, False), error_counts)


def resealed(path):
    """Write a valid seal to a changed file, so that only its content is invalid."""
    with open(path, "r+b") as handle:
        handle.write(store._seal(path))


@fuzzed
@given(st.sampled_from(["gone", "number", "bytes", "array", "other"]), st.integers(0, 9))
def test_a_store_file_with_another_key_raises(
    error_counts, tmp_path_factory, sealed, change, number
):
    path = tmp_path_factory.getbasetemp() / "header.h5"
    path.write_bytes(sealed)
    with h5py.File(path, "r+") as file:
        del file.attrs["key"]
        if change != "gone":
            file.attrs["key"] = {
                "number": number, "bytes": np.bytes_(b"\xff%d" % number),
                "array": np.arange(number + 2), "other": f"another{number}",
            }[change]  # fmt: skip
    resealed(path)
    must_raise(lambda: store.read_arrays(path, "k" * 16, "warm"), error_counts)
    assert store.stated_key(path) == (f"another{number}" if change == "other" else None)


def test_the_configuration_before_fuzzing_is_valid():
    parse(CONFIG)
    assert yaml.safe_load((ROOT / "config.yaml").read_text()) == CONFIG
    assert not any(isinstance(v, float) and math.isnan(v) for v in CONFIG["optimizer"].values())
