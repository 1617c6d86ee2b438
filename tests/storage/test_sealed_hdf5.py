"""The store: what is read back is what was written, or there is an error that says which file."""

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
    """Write a file with every kind of dataset and attribute the study uses."""
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


def test_a_long_vector_is_kept_in_blocks_that_are_read_by_themselves(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "CHUNK_NUMBERS", 16)
    write(tmp_path / "a.h5")
    with store.opened(tmp_path / "a.h5", KEY, "table") as file:
        assert file["gradient"].chunks == (1, 1, 13), "a chunk is not an even part"
        whole = file["gradient"][()]
        assert np.array_equal(file["gradient"][2, 1, 16:32], whole[2, 1, 16:32])
    monkeypatch.undo()
    write(tmp_path / "b.h5")
    with store.opened(tmp_path / "b.h5", KEY, "table") as file:
        assert file["gradient"].chunks == (1, 1, 50), "short vectors are divided"
        assert np.array_equal(file["gradient"][()], whole), "the chunks change what is read"


def read(path, key=KEY):
    """Return everything in the file, in a form that compares bit by bit."""
    with store.opened(path, key, "table") as file:
        data = {name: (file[name].shape, file[name][()]) for name in file}
        data |= {f"@{name}": ((), value) for name, value in file.attrs.items()}
    return {name: (shape, repr(np.asarray(v).tolist())) for name, (shape, v) in data.items()}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "table-0.h5"
    write(path)
    return path


def refused(path, key=KEY):
    """Return the message that the store refuses the file with."""
    with pytest.raises(UserError) as caught:
        read(path, key)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message, "the message does not name the file"
    assert "`table`" in message, "the message does not name the rule to rerun"
    return message


def test_what_was_written_comes_back(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "s": ["x", "é"], "i": np.array([], dtype=int)}
    store.write_arrays(tmp_path / "a.h5", KEY, arrays, step=7)
    back = store.read_arrays(tmp_path / "a.h5", KEY, "table")
    assert sorted(back) == sorted(arrays)
    assert (back["a"] == arrays["a"]).all()
    assert list(back["s"]) == arrays["s"]
    assert back["i"].size == 0


def test_same_content_same_bytes(tmp_path):
    write(tmp_path / "a.h5")
    write(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes(), (
        "something other than the content (a time, a name, an address) is written"
    )


def test_other_content_other_bytes(tmp_path):
    for name, value in {"a": 1.0, "b": np.nextafter(1.0, 2.0)}.items():
        store.write_arrays(tmp_path / name, KEY, {"x": np.full(3, value)})
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_a_flipped_byte_is_never_read_as_other_data(path, mask):
    good, whole = read(path), path.read_bytes()
    step = max(1, len(whole) // 200)
    for position in [*range(64), *range(64, len(whole), step), len(whole) - 1]:
        damaged = bytearray(whole)
        damaged[position] ^= mask
        path.write_bytes(damaged)
        try:
            back = read(path)
        except UserError:
            continue
        assert back == good, f"the flipped byte at {position} was read as data"


def test_a_truncated_file_is_refused_at_every_length(path):
    whole = path.read_bytes()
    for length in [*range(0, len(whole), max(1, len(whole) // 100)), 511, 512, 513, len(whole) - 1]:
        path.write_bytes(whole[:length])
        refused(path)


def test_a_file_with_bytes_behind_its_end_is_refused(path):
    path.write_bytes(path.read_bytes() + b"\0")
    refused(path)


def test_a_file_with_a_hole_of_zeros_is_refused(path):
    whole = bytearray(path.read_bytes())
    whole[2048:4096] = bytes(2048)
    path.write_bytes(whole)
    refused(path)


def test_a_missing_file_names_its_rule(tmp_path):
    assert "missing" in refused(tmp_path / "table-9.h5")


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    refused(tmp_path)


def test_a_file_of_another_study_is_refused(path):
    message = refused(path, "other-key")
    assert "another study" in message
    assert KEY in message
    assert "other-key" in message


def test_any_key_will_do_where_none_is_asked_for(path):
    assert read(path, None) == read(path)


def test_a_foreign_hdf5_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["gradient"] = np.zeros(3)
    refused(tmp_path / "foreign.h5")


def test_a_file_altered_by_another_program_is_refused(path):
    with h5py.File(path, "r+") as file:
        file["gradient"][0, 0, 0] = 0
    refused(path)


def test_a_file_of_another_schema_version_is_refused(path, monkeypatch):
    monkeypatch.setattr(store, "SCHEMA_VERSION", store.SCHEMA_VERSION + 1)
    assert "schema" in refused(path)


def test_a_file_that_lacks_what_is_asked_for_is_one_line_with_the_remedy(path):
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
def test_a_file_without_the_attribute_that_its_reader_needs_is_one_line(tmp_path, read):
    store.write_arrays(tmp_path / "old.h5", KEY, {"x": np.arange(3)})
    with pytest.raises(UserError, match=r"old\.h5: has no `\w+`, so another version made it"):
        read(tmp_path / "old.h5")


def test_no_reader_takes_an_attribute_to_be_there():
    root = Path(__file__).parents[2]
    for file in [*root.glob("lib/**/*.py"), *root.glob("scripts/*.py")]:
        if file.name != "sealed_hdf5.py":
            assert ".attrs[" not in file.read_text(encoding="utf-8"), f"{file}: use `attribute`"


def test_other_programs_can_read_the_file(path):
    with h5py.File(path, "r") as file:
        assert file["gradient"].shape == (3, 4, 50)
        assert file.attrs["key"] == KEY


def test_rows_are_checksummed_one_vector_a_chunk(path):
    with store.opened(path, KEY, "table") as file:
        assert file["gradient"].fletcher32
        assert file["gradient"].chunks == (1, 1, 50)


def test_an_exception_while_filling_publishes_nothing(tmp_path):
    with pytest.raises(RuntimeError), store.creating(tmp_path / "x.h5", KEY) as file:
        store.create_rows(file, "a", (2, 3), "f4")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_publishes_nothing(tmp_path):
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


def test_a_disk_full_at_any_size_of_the_file_is_one_line_and_no_crash(tmp_path):
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
    assert done.returncode == 0, f"HDF5 met the full disk: {done.stderr}"
    lines = done.stdout.splitlines()
    assert len(lines) > 20
    assert set(lines) == {f"{tmp_path / 'x.h5'}: cannot be written: File too large"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.h5", "y.h5"]
    assert (tmp_path / "x.h5").read_bytes() == (tmp_path / "y.h5").read_bytes()


def test_the_room_taken_for_a_file_and_not_needed_is_given_back(path):
    with h5py.File(path) as file:
        end = file.id.get_filesize()
    assert path.stat().st_size == end
    assert path.stat().st_size < 2**16, "more than this file needs"


def test_a_key_is_that_of_a_whole_file_and_of_no_other(path, tmp_path):
    assert store.stated_key(path) == KEY
    flipped = bytearray(path.read_bytes())
    flipped[700] ^= 1
    (tmp_path / "flipped.h5").write_bytes(flipped)
    assert store.stated_key(tmp_path / "flipped.h5") is None
    assert store.stated_key(tmp_path / "absent.h5") is None
    (tmp_path / "text.h5").write_text("text")
    assert store.stated_key(tmp_path / "text.h5") is None
