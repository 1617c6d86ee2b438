"""The manifest of a study's store: which shards make it up."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainorder.errors import UserError
from trainorder.files import read_json, sha256_file, write_json
from trainorder.store import SCHEMA_VERSION, opened

RULES = {
    ("reference", "path"): "reference",
    ("reference", "table"): "table",
    ("barycentre", "path"): "barycentre",
    ("barycentre", "table"): "barycentre",
}


def write_manifest(path: Path, key: str, code: str, files: Sequence[Path]) -> None:
    """Check every file of the store whole, and publish their list.

    Files are named relative to the manifest's folder, `<path>/path.h5` or `<path>/table-N.h5`.

    Raises:
        UserError: a file is missing, damaged, or of another study.

    """
    entries = [_entry(path.parent, file, key) for file in files]
    manifest = {"schema_version": SCHEMA_VERSION, "study": key, "code": code, "shards": entries}
    write_json(path, manifest)


def _entry(folder: Path, file: Path, key: str) -> dict[str, Any]:
    expansion, kind = file.parent.name, file.stem.split("-")[0]
    with opened(file, key, RULES[expansion, kind]) as opened_file:
        rows = len(opened_file["step" if kind == "table" else "parameters"])
    return {
        "file": file.relative_to(folder).as_posix(),
        "path": expansion,
        "kind": kind,
        "rows": rows,
        "bytes": file.stat().st_size,
        "sha256": sha256_file(file),
    }


def shards(manifest: Path, key: str, expansion: str, kind: str) -> list[Path]:
    """Return the files of one expansion path that the manifest lists, all of them there.

    The files are checked whole when they are opened; here, that none is missing and that each
    still has its size.

    Raises:
        UserError: the manifest is of another study, or a shard is missing or has another size.

    """
    content = read_json(manifest)
    if content["study"] != key:
        raise UserError(f"{manifest}: belongs to another study; rerun rule `manifest`")
    entries = [e for e in content["shards"] if e["path"] == expansion and e["kind"] == kind]
    if not entries:
        raise UserError(f"{manifest}: lists no {kind} of path {expansion}; rerun rule `manifest`")
    for entry in entries:
        file, rule = manifest.parent / entry["file"], RULES[expansion, kind]
        if not file.is_file():
            raise UserError(f"{file}: missing; rerun rule `{rule}`")
        if file.stat().st_size != entry["bytes"]:
            raise UserError(f"{file}: not the size it had; delete it and rerun rule `{rule}`")
    return [manifest.parent / entry["file"] for entry in entries]
