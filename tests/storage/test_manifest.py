"""The manifest lists whole files only, and is believed only while they are those it lists."""

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
    """Return a store of both expansion paths with two table shards each."""
    found = []
    for expansion in ("reference", "barycentre"):
        folder = tmp_path / expansion
        write_path(folder / "path.h5")
        write_table(folder / "table-0.h5", [0, 1])
        write_table(folder / "table-1.h5", [2, 3])
        found += [folder / "path.h5", folder / "table-0.h5", folder / "table-1.h5"]
    return found


def test_the_low_rank_files_are_listed_by_their_rows(files, tmp_path):
    folder = tmp_path / "barycentre"
    made = [folder / "curvature.h5", folder / "reduced.h5"]
    store.write_arrays(made[0], KEY, {"anchor": np.ones((4, 7), np.int8)})
    store.write_arrays(made[1], KEY, {"knots": np.arange(3)})
    write_manifest(tmp_path / "manifest.json", KEY, "code", [*files, *made])
    entries = json.loads((tmp_path / "manifest.json").read_text())["shards"][-2:]
    assert [(entry["kind"], entry["rows"]) for entry in entries] == [
        ("curvature", 4),
        ("reduced", 3),
    ]
    for kind, file in zip(("curvature", "reduced"), made, strict=True):
        assert shards(tmp_path / "manifest.json", KEY, "barycentre", kind) == [file]
        truncate(file)
        with pytest.raises(UserError, match=f"rerun rule `{kind}`"):
            shards(tmp_path / "manifest.json", KEY, "barycentre", kind)


@pytest.fixture
def manifest(files, tmp_path):
    write_manifest(tmp_path / "manifest.json", KEY, "code", files)
    return tmp_path / "manifest.json"


def test_it_lists_every_file_with_its_rows_size_and_hash(manifest, files):
    entries = json.loads(manifest.read_text())["shards"]
    for entry, file in zip(entries, files, strict=True):
        assert manifest.parent / entry["file"] == file
        assert entry["bytes"] == file.stat().st_size
        assert entry["sha256"] == hashlib.sha256(file.read_bytes()[512:]).hexdigest()
        assert entry["rows"] == (5 if entry["kind"] == "path" else 2)


def test_it_does_not_depend_on_where_the_study_lies(manifest, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path / "reference", moved / "reference")
    write_manifest(moved / "manifest.json", KEY, "code", sorted(moved.glob("reference/*.h5")))
    entries = json.loads((moved / "manifest.json").read_text())["shards"]
    assert entries == json.loads(manifest.read_text())["shards"][:3]


def test_the_shards_of_one_path_and_kind_come_in_the_order_listed(manifest, files):
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
    (write_path if path.stem == "path" else lambda p, key: write_table(p, [2, 3], key))(path, "x")


DAMAGES = {"missing": lambda path: path.unlink(), "truncated": truncate, "flipped": flip}
DAMAGES |= {"of another study": replace, "empty": lambda path: path.write_bytes(b"")}
RULES = ["reference", "table", "table", "barycentre", "barycentre", "barycentre"]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("index", range(6))
def test_a_damaged_file_is_not_listed_and_its_rule_is_named(files, tmp_path, damage, index):
    DAMAGES[damage](files[index])
    with pytest.raises(UserError) as caught:
        write_manifest(tmp_path / "manifest.json", KEY, "code", files)
    assert str(files[index]) in str(caught.value)
    assert f"rerun rule `{RULES[index]}`" in str(caught.value)
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "of another study"])
@pytest.mark.parametrize("index", range(6))
def test_a_listed_file_that_is_no_longer_there_is_named(manifest, files, damage, index):
    DAMAGES[damage](files[index])
    kind = "path" if files[index].stem == "path" else "table"
    with pytest.raises(UserError) as caught:
        shards(manifest, KEY, files[index].parent.name, kind)
    assert str(files[index]) in str(caught.value)
    assert f"rerun rule `{RULES[index]}`" in str(caught.value)


def test_a_shard_in_the_place_of_another_is_refused(manifest, files):
    shutil.copy(files[1], files[2])
    with pytest.raises(UserError, match=r"table-1.h5: not the file that the manifest lists"):
        shards(manifest, KEY, "reference", "table")
    with pytest.raises(UserError, match=r"table-1.h5: holds step 0, as reference/table-0.h5 does"):
        write_manifest(manifest, KEY, "code", files)


def test_a_file_of_one_path_in_the_place_of_the_others_is_refused(files, tmp_path):
    shutil.copy(files[0], files[3])
    with pytest.raises(UserError) as caught:
        write_manifest(tmp_path / "manifest.json", KEY, "code", files)
    assert f"{files[3]}: holds the same, as reference/path.h5 does" in str(caught.value)
    assert "rerun rule `reference` and rule `barycentre`" in str(caught.value)
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "{}", '{"study": "x"}', None])
def test_a_damaged_manifest_is_one_line_that_names_its_rule(tmp_path, content):
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError) as caught:
        shards(path, KEY, "reference", "table")
    assert str(path) in str(caught.value)
    assert "rerun rule `manifest`" in str(caught.value)


def test_a_manifest_of_another_study_is_refused(manifest):
    with pytest.raises(UserError, match="another study"):
        shards(manifest, "0123456789abcdef", "reference", "table")


def test_a_path_that_is_not_listed_is_refused(tmp_path, files):
    write_manifest(tmp_path / "manifest.json", KEY, "code", files[:3])
    with pytest.raises(UserError, match="no table of path barycentre"):
        shards(tmp_path / "manifest.json", KEY, "barycentre", "table")
