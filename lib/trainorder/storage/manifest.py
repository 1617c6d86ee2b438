"""The manifest of a study's store: which shards make it up."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainorder.errors import UserError
from trainorder.storage.formats import read_json, write_json
from trainorder.storage.sealed_hdf5 import SCHEMA_VERSION, opened, sealed_hash

RULES = {
    ("reference", "path"): "reference",
    ("reference", "table"): "table",
    ("barycentre", "path"): "barycentre",
    ("barycentre", "table"): "barycentre",
    ("reference", "curvature"): "curvature",
    ("barycentre", "curvature"): "curvature",
    ("reference", "reduced"): "reduced",
    ("barycentre", "reduced"): "reduced",
}
_ROWS = {"path": "parameters", "table": "step", "curvature": "anchor", "reduced": "knots"}


def write_manifest(path: Path, key: str, code: str, files: Sequence[Path]) -> None:
    """Check every file of the store whole, and publish their list.

    Files are named relative to the manifest's folder, `<path>/path.h5`, `<path>/table-N.h5` and
    so on. Their `sha256` is the one in their seal: of all bytes after the first 512.

    Raises:
        UserError: a file is missing, damaged, of another study, or holds what another has: its
            steps, or all its bytes.

    """
    holder: dict[tuple[str, str], Path] = {}
    entries = [_entry(path.parent, file, key, holder) for file in files]
    manifest = {"schema_version": SCHEMA_VERSION, "study": key, "code": code, "shards": entries}
    write_json(path, manifest)


def _kind(file: Path) -> str:
    return file.stem.split("-")[0]


def _entry(
    folder: Path, file: Path, key: str, holder: dict[tuple[str, str], Path]
) -> dict[str, Any]:
    """Check one file, once through; `holder` knows which file holds each step, and each content."""
    expansion, kind = file.parent.name, _kind(file)
    with opened(file, key, RULES[expansion, kind]) as content:
        rows = len(content[_ROWS[kind]])
        steps = [int(step) for step in content["step"]] if kind == "table" else []
    for step in steps:
        _claim(holder, (expansion, f"step {step}"), f"step {step}", file)
    _claim(holder, ("content", sealed_hash(file)), "the same", file)
    return {
        "file": file.relative_to(folder).as_posix(),
        "path": expansion,
        "kind": kind,
        "rows": rows,
        "bytes": file.stat().st_size,
        "sha256": sealed_hash(file),
    }


def _claim(
    holder: dict[tuple[str, str], Path], what: tuple[str, str], words: str, file: Path
) -> None:
    """Check that no file stands in the place of another of the same study."""
    other = holder.setdefault(what, file)
    if other != file:
        rules = {f"`{RULES[each.parent.name, _kind(each)]}`": None for each in (other, file)}
        raise UserError(
            f"{file}: holds {words}, as {other.parent.name}/{other.name} does; "
            f"delete both and rerun rule {' and rule '.join(rules)}"
        )


def shards(manifest: Path, key: str, expansion: str, kind: str) -> list[Path]:
    """Return the files of one expansion path that the manifest lists, all of them there.

    The files are checked whole when they are opened; here, that none is missing and that each is
    the one that was listed, by its size and its seal.

    Raises:
        UserError: the manifest is damaged or of another study, or a shard is missing or another.

    """
    remedy = "delete it and rerun rule `manifest`"
    try:
        content = read_json(manifest, "manifest")
        study, listed = content["study"], content["shards"]
        entries = [e for e in listed if e["path"] == expansion and e["kind"] == kind]
    except (KeyError, TypeError):
        raise UserError(f"{manifest}: not a manifest; {remedy}") from None
    if study != key:
        raise UserError(f"{manifest}: belongs to another study; {remedy}")
    if not entries:
        raise UserError(f"{manifest}: lists no {kind} of path {expansion}; rerun rule `manifest`")
    for entry in entries:
        file, rule = manifest.parent / entry["file"], RULES[expansion, kind]
        if not file.is_file():
            raise UserError(f"{file}: missing; rerun rule `{rule}`")
        if file.stat().st_size != entry["bytes"] or sealed_hash(file) != entry["sha256"]:
            raise UserError(
                f"{file}: not the file that the manifest lists; delete it and rerun rule `{rule}`"
            )
    return [manifest.parent / entry["file"] for entry in entries]
