"""The manifest lists verified files only, and a file that differs from its entry raises."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from trainorder.errors import UserError
from trainorder.storage import sealed_hdf5 as store
from trainorder.storage.manifest import shards, write_manifest

KEY = "feedc0ffee123456"


def write_path(path, key=KEY):
    states = np.full((5, 7), len(path.parent.name), np.float32)
    store.write_arrays(path, key, {"parameters": states, "exp_avg": states}, first_step=3)


def write_table(path, steps, key=KEY):
    gradients = np.full((len(steps), 3, 7), len(path.parent.name), np.float32)
    arrays = {"gradient": gradients, "step": np.array(steps)}
    store.write_arrays(path, key, arrays)


@pytest.fixture
def files(tmp_path):
    """Return the files of a store with both expansion paths and two table shards each."""
    paths = []
    for expansion in ("reference", "barycentre"):
        folder = tmp_path / expansion
        write_path(folder / "path.h5")
        write_table(folder / "table-0.h5", [0, 1])
        write_table(folder / "table-1.h5", [2, 3])
        paths += [folder / "path.h5", folder / "table-0.h5", folder / "table-1.h5"]
    return paths


def test_files_made_of_the_table_are_listed_with_their_rows(files, tmp_path):
    folder = tmp_path / "barycentre"
    low_rank = [folder / f"{kind}.h5" for kind in ("curvature", "reduced", "effects")]
    store.write_arrays(low_rank[0], KEY, {"anchor": np.ones((4, 7), np.int8)})
    store.write_arrays(low_rank[1], KEY, {"knots": np.arange(3)})
    store.write_arrays(low_rank[2], KEY, {"effects": np.ones((5, 2, 1))})
    write_manifest(tmp_path / "manifest.json", KEY, "code", [*files, *low_rank])
    entries = json.loads((tmp_path / "manifest.json").read_text())["shards"][-3:]
    assert [(entry["kind"], entry["rows"]) for entry in entries] == [
        ("curvature", 4),
        ("reduced", 3),
        ("effects", 5),
    ]
    for kind, file in zip(("curvature", "reduced", "effects"), low_rank, strict=True):
        assert shards(tmp_path / "manifest.json", KEY, "barycentre", kind) == [file]
        truncate(file)
        with pytest.raises(UserError, match=f"rerun rule `{kind}`"):
            shards(tmp_path / "manifest.json", KEY, "barycentre", kind)


@pytest.fixture
def manifest(files, tmp_path):
    write_manifest(tmp_path / "manifest.json", KEY, "code", files)
    return tmp_path / "manifest.json"


def test_entries_state_rows_size_and_hash(manifest, files):
    entries = json.loads(manifest.read_text())["shards"]
    for entry, file in zip(entries, files, strict=True):
        assert manifest.parent / entry["file"] == file
        assert entry["bytes"] == file.stat().st_size
        assert entry["sha256"] == hashlib.sha256(file.read_bytes()[512:]).hexdigest()
        assert entry["rows"] == (5 if entry["kind"] == "path" else 2)


def test_the_manifest_does_not_depend_on_the_location_of_the_study(manifest, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path / "reference", moved / "reference")
    write_manifest(moved / "manifest.json", KEY, "code", sorted(moved.glob("reference/*.h5")))
    entries = json.loads((moved / "manifest.json").read_text())["shards"]
    assert entries == json.loads(manifest.read_text())["shards"][:3]


def test_shards_are_returned_in_the_listed_sequence(manifest, files):
    assert shards(manifest, KEY, "reference", "table") == files[1:3]
    assert shards(manifest, KEY, "barycentre", "path") == [files[3]]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def replace(path):
    path.unlink()
    if path.stem == "path":
        write_path(path, "x")
    else:
        write_table(path, [2, 3], "x")


DAMAGES = {"missing": lambda path: path.unlink(), "truncated": truncate, "flipped": flip}
DAMAGES |= {"of another study": replace, "empty": lambda path: path.write_bytes(b"")}
RULES = ["reference", "table", "table", "barycentre", "barycentre", "barycentre"]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("index", range(6))
def test_a_damaged_file_raises_and_names_its_rule(files, tmp_path, damage, index):
    DAMAGES[damage](files[index])
    with pytest.raises(UserError) as caught:
        write_manifest(tmp_path / "manifest.json", KEY, "code", files)
    assert str(files[index]) in str(caught.value)
    assert f"rerun rule `{RULES[index]}`" in str(caught.value)
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "of another study"])
@pytest.mark.parametrize("index", range(6))
def test_a_listed_file_that_is_missing_or_changed_raises_and_names_its_rule(
    manifest, files, damage, index
):
    DAMAGES[damage](files[index])
    kind = "path" if files[index].stem == "path" else "table"
    with pytest.raises(UserError) as caught:
        shards(manifest, KEY, files[index].parent.name, kind)
    assert str(files[index]) in str(caught.value)
    assert f"rerun rule `{RULES[index]}`" in str(caught.value)


def test_a_copy_of_another_shard_raises(manifest, files):
    shutil.copy(files[1], files[2])
    with pytest.raises(UserError, match=r"table-1.h5: differs from its entry in the manifest"):
        shards(manifest, KEY, "reference", "table")
    message = r"table-1.h5: contains step 0, but so does reference/table-0.h5"
    with pytest.raises(UserError, match=message):
        write_manifest(manifest, KEY, "code", files)


def test_a_copy_of_the_other_expansion_path_raises(files, tmp_path):
    shutil.copy(files[0], files[3])
    with pytest.raises(UserError) as caught:
        write_manifest(tmp_path / "manifest.json", KEY, "code", files)
    assert f"{files[3]}: contains the same content, but so does reference/path.h5" in str(
        caught.value
    )
    assert "rerun rule `reference` and rule `barycentre`" in str(caught.value)
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "{}", '{"study": "x"}', None])
def test_a_damaged_manifest_raises_and_names_its_rule(tmp_path, content):
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError) as caught:
        shards(path, KEY, "reference", "table")
    assert str(path) in str(caught.value)
    assert "rerun rule `manifest`" in str(caught.value)


def test_a_manifest_of_another_study_raises(manifest):
    with pytest.raises(UserError, match="another study"):
        shards(manifest, "0123456789abcdef", "reference", "table")


def test_an_expansion_path_that_is_not_listed_raises(tmp_path, files):
    write_manifest(tmp_path / "manifest.json", KEY, "code", files[:3])
    with pytest.raises(UserError, match="no file of kind `table` for path `barycentre`"):
        shards(tmp_path / "manifest.json", KEY, "barycentre", "table")
