"""Malformed input of every kind is refused with one line: never taken, never a traceback.

Each test counts what it fed, so that the number that `docs/trust.md` states is one that was tried.
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
from trainorder import store
from trainorder.config import CorpusConfig, WindowConfig, check, load_config
from trainorder.corpus.tokens import read_tokens
from trainorder.errors import UserError
from trainorder.orders import read_orders

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "schemas/config.schema.yaml"
CONFIG = load_config(ROOT / "config.yaml")
WINDOW = WindowConfig(0, 4, 2, 1, 1, 0.0)
EXAMPLES = 700
fuzzed = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def refused():
    """Count the refusals of each kind of input over the tests of this file."""
    counts = {}
    yield counts
    assert sum(counts.values()) >= 2000, f"too few inputs were malformed: {counts}"


def one_line(call, refused, kind):
    """Call; count a refusal. An input that happens to be well-formed may pass."""
    said = None
    try:
        call()
    except UserError as error:
        said = str(error)
    if said is not None:
        assert said.strip(), "refused without a word"
        assert "\n" not in said, f"more than one line: {said}"
        refused[kind] = refused.get(kind, 0) + 1


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
    config = copy.deepcopy(CONFIG)
    *path, last = place
    section = config
    for key in path:
        section = section[key]
    if how == "replace":
        section[last] = junk
    elif how == "remove":
        del section[last]
    elif isinstance(section, dict):
        section[f"{last}_"] = junk
    else:
        section.insert(last, junk)
    one_line(lambda: check(config, SCHEMA), refused, "configuration")


@fuzzed
@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_a_configuration_file_of_any_bytes_is_one_line(refused, tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(content)
    one_line(lambda: load_config(path), refused, "configuration file")


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
    one_line(lambda: read_orders(path, WINDOW), refused, "orders in JSON")


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
    one_line(lambda: read_orders(path, WINDOW), refused, "orders in CSV")


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
    before = refused.get("store", 0)
    one_line(lambda: store.read_arrays(path, "k" * 16, "warm"), refused, "store")
    assert refused["store"] == before + 1, "a changed file was read"


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
    one_line(lambda: read_tokens(CorpusConfig(**corpus), window, False), refused, "tokens")


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
    before = refused.get("header", 0)
    one_line(lambda: store.read_arrays(path, "k" * 16, "warm"), refused, "header")
    assert refused["header"] == before + 1, "a file of another study was read"


def test_the_configuration_that_is_fuzzed_is_sound_itself():
    check(CONFIG, SCHEMA)
    assert yaml.safe_load((ROOT / "config.yaml").read_text()) == CONFIG
    assert not any(isinstance(v, float) and math.isnan(v) for v in CONFIG["optimizer"].values())
