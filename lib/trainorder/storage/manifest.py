"""The manifest: the list of all files in the store of a study."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainorder.errors import UserError
from trainorder.storage.formats import read_json, write_json
from trainorder.storage.sealed_hdf5 import SCHEMA_VERSION, opened, sealed_hash

RULES = {
    ("reference", "path"): "reference",
    ("reference", "table"): "table",
    ("reference", "residuals"): "residuals",
    ("reference", "known_runs"): "truth",
    ("barycentre", "path"): "barycentre",
    ("barycentre", "table"): "barycentre",
    ("reference", "curvature"): "curvature",
    ("barycentre", "curvature"): "curvature",
    ("reference", "reduced"): "reduced",
    ("barycentre", "reduced"): "reduced",
    ("reference", "effects"): "effects",
    ("barycentre", "effects"): "effects",
}
_ROWS = {
    "path": "parameters",
    "table": "step",
    "residuals": "units",
    "known_runs": "points",
    "curvature": "anchor",
    "reduced": "knots",
    "effects": "effects",
}


def write_manifest(path: Path, key: str, code: str, files: Sequence[Path]) -> None:
    """Verify every file of the store and publish the manifest.

    The manifest names files relative to its own folder: `<expansion path>/path.h5`,
    `<expansion path>/table-N.h5` and so on. `sha256` is the hash in the file's seal, which covers
    all bytes after the first 512.

    Args:
        path: the manifest to write.
        key: the study key.
        code: the hash of the code that wrote the store.
        files: the files of the store, each in the folder of its expansion path.

    Raises:
        UserError: a file is missing, damaged or belongs to another study, or two files have the
            same content or table rows for the same step.

    """
    owners: dict[tuple[str, str], Path] = {}
    entries = [_entry(path.parent, file, key, owners) for file in files]
    manifest = {"schema_version": SCHEMA_VERSION, "study": key, "code": code, "shards": entries}
    write_json(path, manifest)


def _kind(file: Path) -> str:
    return file.stem.split("-")[0]


def _entry(
    folder: Path, file: Path, key: str, owners: dict[tuple[str, str], Path]
) -> dict[str, Any]:
    """Verify one file and return its entry.

    `owners` maps each step and each content hash to the file that has it. It is updated.
    """
    expansion, kind = file.parent.name, _kind(file)
    with opened(file, key, RULES[expansion, kind]) as content:
        rows = len(content[_ROWS[kind]])
        steps = [int(step) for step in content["step"]] if kind == "table" else []
    for step in steps:
        _claim(owners, (expansion, f"step {step}"), f"step {step}", file)
    _claim(owners, ("content", sealed_hash(file)), "the same content", file)
    return {
        "file": file.relative_to(folder).as_posix(),
        "path": expansion,
        "kind": kind,
        "rows": rows,
        "bytes": file.stat().st_size,
        "sha256": sealed_hash(file),
    }


def _claim(
    owners: dict[tuple[str, str], Path], item: tuple[str, str], text: str, file: Path
) -> None:
    """Check that `file` is the only one with `item`, so that no file is a copy of another.

    `text` describes the item in the error message.
    """
    other = owners.setdefault(item, file)
    if other != file:
        rules = {f"`{RULES[each.parent.name, _kind(each)]}`": None for each in (other, file)}
        raise UserError(
            f"{file}: contains {text}, but so does {other.parent.name}/{other.name}; "
            f"delete both and rerun rule {' and rule '.join(rules)}"
        )


def shards(manifest: Path, key: str, expansion: str, kind: str) -> list[Path]:
    """Return the files of one kind that the manifest lists for an expansion path.

    Each file is compared with its entry: it exists, and has the same size and the same hash in its
    seal. The hash itself is verified when the file is opened.

    Args:
        manifest: the manifest file.
        key: the study key that the manifest must have.
        expansion: the name of the expansion path, `reference` or `barycentre`.
        kind: `path`, `table`, `residuals`, `known_runs`, `curvature`, `reduced` or
            `effects`.

    Raises:
        UserError: the manifest is damaged or belongs to another study, or a file is missing or
            differs from its entry.

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
        raise UserError(
            f"{manifest}: lists no file of kind `{kind}` for path `{expansion}`; "
            "rerun rule `manifest`"
        )
    for entry in entries:
        file, rule = manifest.parent / entry["file"], RULES[expansion, kind]
        if not file.is_file():
            raise UserError(f"{file}: missing; rerun rule `{rule}`")
        if file.stat().st_size != entry["bytes"] or sealed_hash(file) != entry["sha256"]:
            raise UserError(
                f"{file}: differs from its entry in the manifest; delete it and rerun rule `{rule}`"
            )
    return [manifest.parent / entry["file"] for entry in entries]
