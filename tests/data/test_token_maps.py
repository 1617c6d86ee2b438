"""A token memory map is cut into sequences as they come; a wrong type raises one line."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from configs import config as whole_config
from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.config.study_config import parse
from trainorder.data.domains import domains_of
from trainorder.data.token_labels import token_labels
from trainorder.data.token_maps import read_token_map
from trainorder.errors import UserError

LENGTH, HELDOUT, VOCABULARY = 8, 3, 300
WINDOW = WindowConfig(
    warmup_steps=2, units=4, unit_size=2, units_per_step=1, epochs=1, mixed_fraction=0.0
)
SEQUENCES = np.random.default_rng(0).integers(0, VOCABULARY, (40, LENGTH))


def of_file(path, **changes):
    values = {"token_dtype": "uint16", "vocabulary": VOCABULARY, **changes}
    return CorpusConfig(
        source="tokens",
        files=[str(path)],
        sequence_length=LENGTH,
        heldout_sequences=HELDOUT,
        **values,
    )


def written(folder, dtype="uint16", start=b"", extra=0):
    path = folder / "train.bin"
    path.write_bytes(start + SEQUENCES.astype(dtype).tobytes() + bytes(extra))
    return path


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "int32", "int64"])
def test_the_sequences_are_those_of_the_file_in_its_order(tmp_path, dtype):
    config = of_file(written(tmp_path, dtype), token_dtype=dtype)
    corpus, summary = read_token_map(config, WINDOW, warmup=True)
    assert corpus.warmup.tolist() == SEQUENCES[:4].tolist()
    assert corpus.units.reshape(-1, LENGTH).tolist() == SEQUENCES[4:12].tolist()
    assert corpus.heldout[0].tolist() == SEQUENCES[-HELDOUT:].tolist(), "not the end of the file"
    assert {a.dtype for a in (corpus.warmup, corpus.units, corpus.heldout)} == {np.dtype(np.int32)}
    assert (corpus.domains, corpus.unit_domains) == (["train"], ["train"] * 4)
    assert summary["from"]["file"] == config.files[0]
    labels = token_labels(config, WINDOW)
    assert (labels.unit_domains, labels.vocabulary) == (corpus.unit_domains, VOCABULARY)
    assert domains_of(config) == (["train"], False)


def test_the_window_follows_the_warm_up_that_an_existing_run_trained(tmp_path):
    corpus, _ = read_token_map(of_file(written(tmp_path)), WINDOW, warmup=False)
    assert corpus.warmup.shape == (0, LENGTH)
    assert corpus.units.reshape(-1, LENGTH).tolist() == SEQUENCES[4:12].tolist()


def test_the_header_of_a_shard_is_skipped(tmp_path):
    path = written(tmp_path, start=shard(20240520))
    corpus, _ = read_token_map(of_file(path), WINDOW, warmup=True)
    assert corpus.warmup.tolist() == SEQUENCES[:4].tolist(), "the header was read as tokens"


def shard(magic, count=SEQUENCES.size):
    return struct.pack("<256i", magic, 1, count, *[0] * 253)


@pytest.mark.parametrize(("magic", "dtype"), [(20240520, "uint16"), (20240801, "uint32")])
def test_the_header_of_a_shard_must_state_the_type_and_the_number_of_tokens(tmp_path, magic, dtype):
    config = of_file(written(tmp_path, dtype, shard(magic)), token_dtype=dtype)
    assert read_token_map(config, WINDOW, warmup=True)[0].warmup.tolist() == SEQUENCES[:4].tolist()
    other = {"uint16": "uint32", "uint32": "uint16"}[dtype]
    with pytest.raises(UserError, match=f"its header says that its tokens are {dtype}; set corpus"):
        read_token_map(replace(config, token_dtype=other), WINDOW, warmup=True)
    written(tmp_path, dtype, shard(magic, SEQUENCES.size + 1))
    with pytest.raises(UserError, match="says that it has 321 tokens, but it has 320; copy"):
        read_token_map(config, WINDOW, warmup=True)


@pytest.mark.parametrize("save", [np.save, np.savez])
def test_arrays_with_a_header_of_numpy_are_no_memory_map(tmp_path, save):
    with open(tmp_path / "train.bin", "wb") as file:
        save(file, SEQUENCES.astype(np.uint16))
    with pytest.raises(UserError, match=r"train\.bin: is a .*, not only token numbers; write them"):
        read_token_map(of_file(tmp_path / "train.bin"), WINDOW, warmup=True)


@pytest.mark.parametrize("length", [7, 8])
@pytest.mark.parametrize(
    ("written_as", "read_as", "vocabulary"),
    [
        ("uint16", "uint8", 500),
        ("uint32", "uint8", 500),
        ("uint32", "uint16", 300),
        ("uint32", "uint16", 50_000),
        ("int64", "uint32", 300_000),
        ("int64", "int32", 300_000),
    ],
)
def test_a_type_that_is_narrower_than_that_of_the_file_raises(
    tmp_path, written_as, read_as, vocabulary, length
):
    """Whatever part of the file the held-out sequences are."""
    tokens = np.random.default_rng(1).integers(0, vocabulary, 501).astype(written_as)
    tokens.tofile(tmp_path / "train.bin")
    for right in (False, True):
        values = {"token_dtype": written_as if right else read_as, "vocabulary": vocabulary}
        config = replace(of_file(tmp_path / "train.bin", **values), sequence_length=length)
        if right:
            read_token_map(config, WINDOW, warmup=True)
        else:
            with pytest.raises(UserError, match=f"every second token is .* as {read_as}, so its"):
                read_token_map(config, WINDOW, warmup=True)


def test_bytes_are_tokens_of_the_smallest_vocabulary(tmp_path):
    text = b"It is a truth universally acknowledged, that a single man in possession. " * 5
    (tmp_path / "train.bin").write_bytes(text)
    for vocabulary in (257, 512):
        config = of_file(tmp_path / "train.bin", token_dtype="uint8", vocabulary=vocabulary)
        corpus, _ = read_token_map(config, WINDOW, warmup=True)
        assert bytes(corpus.warmup.ravel().tolist()) == text[: 4 * LENGTH]


def index_of(folder, code):
    (folder / "train.idx").write_bytes(b"MMIDIDX\x00\x00" + struct.pack("<QB", 1, code) + bytes(16))


def test_the_index_of_a_data_set_must_state_the_same_type(tmp_path):
    path = written(tmp_path)
    index_of(tmp_path, 8)
    read_token_map(of_file(path), WINDOW, warmup=True)
    index_of(tmp_path, 4)
    with pytest.raises(UserError, match=r"train\.idx says that its tokens are int32; set corpus"):
        read_token_map(of_file(path), WINDOW, warmup=True)


WRONG = {  # how the file is written, changes of the section, and a part of the message
    "wider type": ({"dtype": "uint32"}, {}, "every second token is 0 as uint16"),
    "widest type": ({"dtype": "int64"}, {"token_dtype": "int32"}, "every second token is 0"),
    "narrower type": ({}, {"token_dtype": "uint32"}, "contains token"),
    "vocabulary": (
        {},
        {"vocabulary": 257},
        "contains token 299, expected 0 to 256; set corpus.voc",
    ),
    "half a token": ({"extra": 1}, {}, "641 bytes are not whole tokens of uint16"),
    "too short": ({}, {"heldout_sequences": 30}, "has 320 tokens as uint16, but warm-up, window"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_file_that_does_not_fit_raises_one_line(tmp_path, case):
    how, changes, expected = WRONG[case]
    values = {"token_dtype": "uint16", "vocabulary": VOCABULARY, "heldout_sequences": HELDOUT}
    config = CorpusConfig(
        source="tokens",
        files=[str(written(tmp_path, **how))],
        sequence_length=LENGTH,
        **{**values, **changes},
    )
    with pytest.raises(UserError) as caught:
        read_token_map(config, WINDOW, warmup=True)
    assert expected in str(caught.value)
    assert "train.bin" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"corpus__files": ["a.bin"]}, "corpus.token_dtype: a.bin does not state the type"),
        (
            {"corpus__files": ["a.safetensors"], "corpus__token_dtype": "uint16"},
            "corpus.token_dtype: only a .bin file of source `tokens` has it",
        ),
        (
            {"corpus__token_dtype": "uint16", "corpus__vocabulary": 65_537},
            "corpus.token_dtype: uint16 holds 65536 numbers, but corpus.vocabulary is 65537",
        ),
        (
            {"corpus__token_dtype": "uint8", "corpus__vocabulary": 50_257},
            "corpus.token_dtype: uint8 holds 256 numbers, but corpus.vocabulary is 50257",
        ),
        (
            {"corpus__token_dtype": "uint16", "corpus__domains": ["prose", "code"]},
            "corpus.domains: the only domain of a.bin is `a`, the name of the file; set it to null",
        ),
        (
            {"corpus__files": ["mixed.bin"], "corpus__token_dtype": "uint16"},
            "corpus.files: mixed.bin: its only domain has its name, but `mixed` is the label of",
        ),
        ({"corpus__files": ["a.npy"]}, "corpus.files: a.npy: expected a file of type .safetensors"),
    ],
)
def test_keys_that_do_not_fit_raise_one_line(changes, expected):
    with pytest.raises(UserError) as caught:
        parse(whole_config(**{"corpus__source": "tokens", "corpus__files": ["a.bin"], **changes}))
    assert expected in str(caught.value)
