"""Sealed HDF5 files: reading returns what was written, or raises an error with the path."""

import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest

from trainorder.data.corpus import Corpus
from trainorder.errors import UserError
from trainorder.storage import sealed_hdf5 as store
from trainorder.training.checkpoints import read_state

KEY = "study-key"


def write(path, key=KEY):
    """Write a file with every kind of dataset and attribute that a study uses."""
    numbers = np.random.default_rng(0)
    attributes = {"step": 3, "rates": np.linspace(0, 1, 2000), "kind": "reference"}
    with store.creating(path, key, **attributes) as file:
        rows = store.create_rows(file, "gradient", (3, 4, 50), "f4")
        for step in range(3):
            rows[step] = numbers.normal(size=(4, 50))
        file.create_dataset("step", data=np.arange(3))
        file.create_dataset("order", data=["reference", "réversed"], dtype=h5py.string_dtype())
        file.create_dataset("empty", data=np.zeros((0, 5)))
        file.create_dataset("scalar", data=2.5)


def test_long_vectors_are_divided_into_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "CHUNK_NUMBERS", 16)
    write(tmp_path / "a.h5")
    with store.opened(tmp_path / "a.h5", KEY, "table") as file:
        assert file["gradient"].chunks == (1, 1, 13), "the chunks are not equal parts"
        whole = file["gradient"][()]
        assert np.array_equal(file["gradient"][2, 1, 16:32], whole[2, 1, 16:32])
    monkeypatch.undo()
    write(tmp_path / "b.h5")
    with store.opened(tmp_path / "b.h5", KEY, "table") as file:
        assert file["gradient"].chunks == (1, 1, 50), "a short vector was divided"
        assert np.array_equal(file["gradient"][()], whole), "the values depend on the chunks"


def read(path, key=KEY):
    """Return the whole content of the file in a form that compares bit by bit."""
    with store.opened(path, key, "table") as file:
        data = {name: (file[name].shape, file[name][()]) for name in file}
        data |= {f"@{name}": ((), value) for name, value in file.attrs.items()}
    return {name: (shape, repr(np.asarray(v).tolist())) for name, (shape, v) in data.items()}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "table-0.h5"
    write(path)
    return path


def error_message(path, key=KEY):
    """Return the message of the error that reading the file raises."""
    with pytest.raises(UserError) as caught:
        read(path, key)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message, "the message does not name the file"
    assert "`table`" in message, "the message does not name the rule to rerun"
    return message


def test_reading_returns_what_was_written(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "s": ["x", "é"], "i": np.array([], dtype=int)}
    store.write_arrays(tmp_path / "a.h5", KEY, arrays, step=7)
    stored = store.read_arrays(tmp_path / "a.h5", KEY, "table")
    assert sorted(stored) == sorted(arrays)
    assert (stored["a"] == arrays["a"]).all()
    assert list(stored["s"]) == arrays["s"]
    assert stored["i"].size == 0


def test_the_same_content_gives_the_same_bytes(tmp_path):
    write(tmp_path / "a.h5")
    write(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes(), (
        "the file depends on more than its content (a time, a name, an address)"
    )


def test_different_content_gives_different_bytes(tmp_path):
    for name, value in {"a": 1.0, "b": np.nextafter(1.0, 2.0)}.items():
        store.write_arrays(tmp_path / name, KEY, {"x": np.full(3, value)})
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_a_flipped_byte_is_never_read_as_data(path, mask):
    good, whole = read(path), path.read_bytes()
    step = max(1, len(whole) // 200)
    for position in [*range(64), *range(64, len(whole), step), len(whole) - 1]:
        damaged = bytearray(whole)
        damaged[position] ^= mask
        path.write_bytes(damaged)
        try:
            stored = read(path)
        except UserError:
            continue
        assert stored == good, f"the flipped byte at {position} was read as data"


def test_a_file_truncated_at_any_length_raises(path):
    whole = path.read_bytes()
    for length in [*range(0, len(whole), max(1, len(whole) // 100)), 511, 512, 513, len(whole) - 1]:
        path.write_bytes(whole[:length])
        error_message(path)


def test_a_file_with_appended_bytes_raises(path):
    path.write_bytes(path.read_bytes() + b"\0")
    error_message(path)


def test_a_file_with_a_block_of_zeros_raises(path):
    whole = bytearray(path.read_bytes())
    whole[2048:4096] = bytes(2048)
    path.write_bytes(whole)
    error_message(path)


def test_a_missing_file_raises_and_names_its_rule(tmp_path):
    assert "missing" in error_message(tmp_path / "table-9.h5")


def test_a_folder_instead_of_a_file_raises(tmp_path):
    error_message(tmp_path)


def test_a_file_of_another_study_raises(path):
    message = error_message(path, "other-key")
    assert "another study" in message
    assert KEY in message
    assert "other-key" in message


def test_any_key_is_accepted_if_none_is_given(path):
    assert read(path, None) == read(path)


def test_an_hdf5_file_without_a_seal_raises(tmp_path):
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["gradient"] = np.zeros(3)
    error_message(tmp_path / "foreign.h5")


def test_a_file_altered_by_another_program_raises(path):
    with h5py.File(path, "r+") as file:
        file["gradient"][0, 0, 0] = 0
    error_message(path)


def test_a_file_of_another_schema_version_raises(path, monkeypatch):
    monkeypatch.setattr(store, "SCHEMA_VERSION", store.SCHEMA_VERSION + 1)
    assert "schema" in error_message(path)


def test_a_missing_dataset_or_attribute_raises_with_the_remedy(path):
    with pytest.raises(UserError, match=r"has no `basis`.*another version.*rerun rule `table`"):
        store.read_arrays(path, KEY, "table", ["step", "basis"])
    with store.opened(path, KEY, "table") as file, pytest.raises(UserError, match="has no `basis`"):
        file["basis"]
    with store.opened(path, KEY, "table") as file:
        assert file.attribute("step") == 3
        with pytest.raises(UserError, match=r"has no `steps`.*another version.*rule `table`"):
            file.attribute("steps")


@pytest.mark.parametrize(
    "read", [lambda path: Corpus.load(path, KEY), lambda path: read_state(path, KEY, "warm")]
)
def test_readers_raise_on_a_missing_attribute(tmp_path, read):
    store.write_arrays(tmp_path / "old.h5", KEY, {"x": np.arange(3)})
    with pytest.raises(UserError, match=r"old\.h5: has no `\w+`, so another version wrote it"):
        read(tmp_path / "old.h5")


def test_readers_use_attribute_which_raises_if_it_is_missing():
    root = Path(__file__).parents[2]
    for file in [*root.glob("lib/**/*.py"), *root.glob("scripts/*.py")]:
        if file.name != "sealed_hdf5.py":
            assert ".attrs[" not in file.read_text(encoding="utf-8"), f"{file}: use `attribute`"


def test_other_programs_can_read_the_file(path):
    with h5py.File(path, "r") as file:
        assert file["gradient"].shape == (3, 4, 50)
        assert file.attrs["key"] == KEY


def test_each_vector_is_one_chunk_with_a_checksum(path):
    with store.opened(path, KEY, "table") as file:
        assert file["gradient"].fletcher32
        assert file["gradient"].chunks == (1, 1, 50)


def test_after_an_exception_nothing_is_published(tmp_path):
    with pytest.raises(RuntimeError), store.creating(tmp_path / "x.h5", KEY) as file:
        store.create_rows(file, "a", (2, 3), "f4")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_raises_one_line_and_publishes_nothing(tmp_path):
    code = f"""
        import resource
        import numpy as np
        from trainorder.storage import sealed_hdf5 as store
        from trainorder.errors import UserError
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            store.write_arrays({str(tmp_path / "x.h5")!r}, "key", {{"a": np.ones(100_000)}})
        except UserError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "x.h5") in done.stdout, done.stderr
    assert done.stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_disk_full_at_any_file_size_raises_and_does_not_crash(tmp_path):
    code = f"""
        import resource
        import sys
        import numpy as np
        from trainorder.storage import sealed_hdf5 as store
        from trainorder.errors import UserError
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_sealed_hdf5 import write
        from pathlib import Path
        path, limit, hard = Path({str(tmp_path / "x.h5")!r}), 4096, resource.RLIM_INFINITY
        while not path.exists():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            try:
                write(path)
            except UserError as error:
                print(error)
            limit += 1000
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        write(path.with_name("y.h5"))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True
    )
    assert done.returncode == 0, f"the process crashed on a full disk: {done.stderr}"
    lines = done.stdout.splitlines()
    assert len(lines) > 20
    assert set(lines) == {f"{tmp_path / 'x.h5'}: cannot be written: File too large"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.h5", "y.h5"]
    assert (tmp_path / "x.h5").read_bytes() == (tmp_path / "y.h5").read_bytes()


def test_unused_reserved_space_is_released(path):
    with h5py.File(path) as file:
        end = file.id.get_filesize()
    assert path.stat().st_size == end
    assert path.stat().st_size < 2**16, "the file is larger than its content"


def test_stated_key_is_none_for_damaged_or_missing_files(path, tmp_path):
    assert store.stated_key(path) == KEY
    flipped = bytearray(path.read_bytes())
    flipped[700] ^= 1
    (tmp_path / "flipped.h5").write_bytes(flipped)
    assert store.stated_key(tmp_path / "flipped.h5") is None
    assert store.stated_key(tmp_path / "absent.h5") is None
    (tmp_path / "text.h5").write_text("text")
    assert store.stated_key(tmp_path / "text.h5") is None
