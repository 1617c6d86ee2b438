"""A token file is used as it is; a file that does not fit raises a one-line error."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from trainers import (
    DOMAINS,
    HELDOUT,
    LENGTH,
    UNIT_DOMAINS,
    UNIT_SIZE,
    UNITS,
    VOCABULARY,
    token_arrays,
    write_tokens,
)
from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.data.tokens import read_labels, read_tokens
from trainorder.errors import UserError

WINDOW = WindowConfig(
    warmup_steps=2, units=UNITS, unit_size=UNIT_SIZE, units_per_step=1, epochs=1, mixed_fraction=0.0
)
WARMUP = WINDOW.warmup_steps * WINDOW.sequences_per_step


def of_file(path):
    return CorpusConfig(
        source="tokens", domains=None, files=[str(path)], hub=None, text_column="text",
        domain_column="domain", tokenizer=None, vocabulary=512, sequence_length=LENGTH,
        heldout_sequences=HELDOUT,
    )  # fmt: skip


@pytest.fixture
def path(tmp_path):
    write_tokens(tmp_path / "tokens.safetensors", token_arrays(WARMUP))
    return tmp_path / "tokens.safetensors"


def test_the_corpus_equals_the_tensors_of_the_file(path):
    arrays = token_arrays(WARMUP)
    corpus, _ = read_tokens(of_file(path), WINDOW, warmup=True)
    for name, expected in arrays.items():
        assert np.array_equal(getattr(corpus, name), expected)
        assert getattr(corpus, name).dtype == np.int32
    assert (corpus.domains, corpus.unit_domains) == (DOMAINS, UNIT_DOMAINS)
    assert corpus.vocabulary == VOCABULARY


@pytest.mark.parametrize("kind", ["int16", "uint16", "int64", "uint64", "uint8"])
def test_any_integer_dtype_is_accepted(tmp_path, kind):
    arrays = {name: array.astype(kind) for name, array in token_arrays().items()}
    write_tokens(tmp_path / "t.safetensors", arrays)
    corpus, _ = read_tokens(of_file(tmp_path / "t.safetensors"), WINDOW, warmup=False)
    assert np.array_equal(corpus.units, token_arrays()["units"])


@pytest.mark.parametrize("sequences", [0, WARMUP, 99])
def test_warm_up_sequences_are_not_read_if_the_study_trains_none(tmp_path, sequences):
    write_tokens(tmp_path / "t.safetensors", token_arrays(sequences))
    corpus, _ = read_tokens(of_file(tmp_path / "t.safetensors"), WINDOW, warmup=False)
    assert corpus.warmup.shape == (0, LENGTH)


def test_a_window_that_starts_from_scratch_needs_no_warm_up(tmp_path):
    write_tokens(tmp_path / "t.safetensors", token_arrays())
    window = replace(WINDOW, warmup_steps=0)
    corpus, _ = read_tokens(of_file(tmp_path / "t.safetensors"), window, warmup=True)
    assert corpus.warmup.shape == (0, LENGTH)


def test_the_summary_counts_units_and_tokens(path):
    _, summary = read_tokens(of_file(path), WINDOW, warmup=True)
    assert summary["tokenizer"] == {"origin": None, "vocabulary": VOCABULARY, "end_of_text": None}
    assert summary["units"] == {"sea": 3, "hill": 2, "mixed": 1}
    assert summary["warmup"] == {"sequences": WARMUP, "tokens": WARMUP * LENGTH}
    assert summary["domains"]["hill"]["splits"]["heldout"]["tokens"] == HELDOUT * LENGTH
    json.dumps(summary, allow_nan=False)


def test_torch_is_not_imported(path):
    code = (
        "import sys, json; from trainorder.config.sections.corpus import CorpusConfig;"
        "from trainorder.config.sections.window import WindowConfig;"
        "from trainorder.data.tokens import read_tokens;"
        "c, w = json.loads(sys.argv[1]);"
        "read_tokens(CorpusConfig(**c), WindowConfig(**w), True);"
        "assert 'torch' not in sys.modules"
    )
    argument = json.dumps([vars(of_file(path)), vars(WINDOW)])
    subprocess.run([sys.executable, "-c", code, argument], env=os.environ, check=True)


def masked(arrays, **places):
    """Return the tensors with labels that mask some places of the units or other tensors."""
    labels = {f"{name}_labels": arrays[name].copy() for name in places}
    for name, index in places.items():
        labels[f"{name}_labels"][index] = -100
    return {**arrays, **labels}


def test_masked_labels_are_no_targets(tmp_path):
    arrays = token_arrays(WARMUP)
    places = {"units": (0, 1, slice(0, 3)), "warmup": (1, 4)}
    write_tokens(tmp_path / "t.safetensors", masked(arrays, **places))
    corpus, _ = read_tokens(of_file(tmp_path / "t.safetensors"), WINDOW, warmup=True)
    for name in ("units", "warmup", "heldout"):
        expected = arrays[name].copy()
        if name in places:
            expected[places[name]] = ~expected[places[name]]
        assert np.array_equal(getattr(corpus, name), expected), f"{name} has other targets"


UNITS_OF = token_arrays()["units"]
INVALID = {  # tensors, metadata, changes of the configuration, part of the message
    "masked tokens": (
        {"units": np.where(UNITS_OF.max() == UNITS_OF, -100, UNITS_OF)},
        {},
        {},
        "write the labels as the tensor `units_labels`",
    ),
    "labels of another shape": ({"units_labels": UNITS_OF[:1]}, {}, {}, "another shape than"),
    "other labels": ({"units_labels": UNITS_OF + 1}, {}, {}, "neither its token nor -100"),
    "no target": ({"units_labels": 0 * UNITS_OF - 100}, {}, {}, "a sequence has no target"),
    "misspelt labels": ({"unit_labels": UNITS_OF}, {}, {}, "did you mean `units_labels`?"),
    "a mask of the loss": ({"loss_mask": UNITS_OF}, {}, {}, "has the tensor `loss_mask`, which is"),
    "no units": ({"units": None}, {}, {}, "has no tensor `units`"),
    "no held-out": ({"heldout": None}, {}, {}, "has no tensor `heldout`"),
    "no warm-up": ({"warmup": None}, {}, {}, "has no tensor `warmup`"),
    "real numbers": ({"units": UNITS_OF * 1.0}, {}, {}, "`units` has dtype F64"),
    "flat units": ({"units": UNITS_OF.reshape(12, 8)}, {}, {}, "2 axes, expected 3: window.units"),
    "unit size": ({"units": UNITS_OF[:, :1]}, {}, {}, "1 along axis 1, but window.unit_size is 2"),
    "length": ({"heldout": np.zeros((2, 3, 9), int)}, {}, {}, "but corpus.sequence_length is 8"),
    "held-out": ({"heldout": np.zeros((2, 4, 8), int)}, {}, {}, "corpus.heldout_sequences is 3"),
    "domains": ({"heldout": np.zeros((3, 3, 8), int)}, {}, {}, "but the number of domains is 2"),
    "short warm-up": ({"warmup": np.zeros((3, 8), int)}, {}, {}, "has size 3 along axis 0"),
    "token too large": ({"units": UNITS_OF + VOCABULARY}, {}, {}, ", expected 0 to 18"),
    "negative token": ({"units": UNITS_OF - 1}, {}, {}, "`units` contains token -1"),
    "units": ({"units": UNITS_OF[:5]}, {"unit_domains": UNIT_DOMAINS[:5]}, {}, "window.units is 6"),
    "labels": ({}, {"unit_domains": UNIT_DOMAINS[:5]}, {}, "5 names, but window.units is 6"),
    "unknown label": ({}, {"unit_domains": ["sky"] * 6}, {}, "unit 0 has 'sky', expected one of"),
    "label is a number": ({}, {"unit_domains": [1] * 6}, {}, "`unit_domains`: not a list of names"),
    "no labels": ({}, {"unit_domains": None}, {}, "metadata `unit_domains`: missing"),
    "a domain twice": ({}, {"domains": ["sea", "sea"]}, {}, "duplicate name"),
    "a domain called mixed": ({}, {"domains": ["sea", "mixed"]}, {}, "the reserved name `mixed`"),
    "no domains": ({}, {"domains": []}, {}, "`domains`: not a list of names"),
    "vocabulary": ({}, {"vocabulary": "many"}, {}, "`vocabulary`: 'many' is not a number"),
    "other domains": ({}, {}, {"domains": ["hill", "sea"]}, "corpus.domains lists others"),
}  # fmt: skip


@pytest.mark.parametrize("case", INVALID)
def test_a_file_that_does_not_fit_raises_one_line_with_the_path(tmp_path, case):
    arrays, metadata, changes, message = INVALID[case]
    path = tmp_path / "t.safetensors"
    tensors = {k: v for k, v in {**token_arrays(WARMUP), **arrays}.items() if v is not None}
    entries = {k: None if v is None else json.dumps(v) for k, v in metadata.items()}
    write_tokens(path, tensors, **entries)
    with pytest.raises(UserError) as error:
        read_tokens(replace(of_file(path), **changes), WINDOW, warmup=True)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("metadata", ["{", "", "[1,"])
def test_metadata_that_is_not_json_raises(tmp_path, metadata):
    path = tmp_path / "t.safetensors"
    write_tokens(path, token_arrays(), domains=metadata)
    with pytest.raises(UserError, match=r"`domains`: not readable as JSON: [^\n]*$"):
        read_labels(path)


@pytest.mark.parametrize(
    "content", [None, b"", b"{}", b"\xff" * 99, b"\x08" + b"\0" * 7 + b"[1,2,3]\n"]
)
def test_a_file_that_is_not_safetensors_raises(tmp_path, content):
    path = tmp_path / "t.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=rf"^{path}: [^\n]*$"):
        read_labels(path)


def test_a_file_without_metadata_raises(tmp_path):
    from safetensors.numpy import save_file

    save_file(token_arrays(), tmp_path / "t.safetensors")
    with pytest.raises(UserError, match="metadata `domains`: missing"):
        read_labels(tmp_path / "t.safetensors")
