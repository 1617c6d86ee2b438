"""One archive of a study's result files, from which every figure can be drawn again."""

import gzip
import hashlib
import io
import json
import os
import tarfile
import time
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from trainorder.config.loading import parsed
from trainorder.errors import UserError
from trainorder.evaluation.result_files import CHECKSUMS, RESULT_FILES, VALIDATION
from trainorder.storage.atomic import publish
from trainorder.storage.formats import read_json, sha256_file

CONFIG, PROVENANCE = "config.yaml", "provenance.json"


def write_bundle(results: Path, output: Path) -> None:
    """Publish the archive of the study in `results`; the same files give the same bytes.

    It contains the result files under `results/<study>/`, the configuration, seeds, versions and
    machine of the study, and a list of checksums for `sha256sum -c`.

    Raises:
        UserError: the study is not complete.

    """
    record = read_json(VALIDATION.path(results), VALIDATION.rule)
    study, provenance = record["study"], dict(record["provenance"])
    config = yaml.safe_dump(provenance.pop("config"), sort_keys=False)
    contents = {
        file.name: file.path(results).read_bytes()
        for file in RESULT_FILES
        if file.path(results).is_file()
    }
    contents[CONFIG] = config.encode()
    contents[PROVENANCE] = (json.dumps(provenance, indent=1) + "\n").encode()
    contents[CHECKSUMS] = _checksums(contents).encode()
    with (
        publish(output) as partial,
        open(partial, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name in sorted(contents):
            entry = tarfile.TarInfo(f"results/{study}/{name}")
            entry.size = len(contents[name])
            archive.addfile(entry, io.BytesIO(contents[name]))


def _checksums(contents: Mapping[str, bytes]) -> str:
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in contents.items()]
    return "\n".join(sorted(lines, key=lambda line: line.split()[1])) + "\n"


def unpack(archive: Path, into: Path) -> Path:
    """Unpack a bundle under `into`, check every file, and return the folder of the results.

    It never writes a link, a file outside `into`, or a configuration with code that Snakemake would
    run, whatever the archive contains.

    Raises:
        UserError: not a bundle, damaged, or a different file exists already.

    """
    try:
        with tarfile.open(archive, "r:gz") as opened:
            contents = {entry.name: _content(archive, opened, entry) for entry in opened}
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise UserError(
            f"{archive}: not readable as a .tar.gz archive: {error}; get the archive again"
        ) from None
    folder = _folder(archive, contents)
    for name, expected in _listed(archive, contents, folder).items():
        if hashlib.sha256(contents[name]).hexdigest() != expected:
            raise UserError(f"{archive}: {name} is damaged; get the archive again")
        path = into / name
        if path.exists() and sha256_file(path) != expected:
            raise UserError(f"{path}: a different file exists already; move its folder away")
    _check_config(archive, contents, folder)
    for name, content in contents.items():
        with publish(into / name) as partial:
            partial.write_bytes(content)
    now = time.time_ns()
    for name in contents:  # with different ages, Snakemake would treat some files as outdated
        os.utime(into / name, ns=(now, now))
    return into / folder


def _content(archive: Path, opened: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    path = PurePosixPath(entry.name)
    file = opened.extractfile(entry) if entry.isreg() else None
    if file is None or path.is_absolute() or ".." in path.parts or "\\" in entry.name:
        raise UserError(
            f"{archive}: {entry.name!r} is not a plain file inside the archive; not unpacked"
        )
    return file.read()


def _folder(archive: Path, contents: Mapping[str, Any]) -> PurePosixPath:
    folders = {PurePosixPath(*PurePosixPath(name).parts[:2]) for name in contents}
    if len(folders) != 1 or not (folder := folders.pop()).is_relative_to("results"):
        raise UserError(
            f"{archive}: expected the results of one study; use a bundle of rule `bundle`"
        )
    return folder


def _check_config(archive: Path, contents: Mapping[str, bytes], folder: PurePosixPath) -> None:
    """Check that the configuration has plain values only: Snakemake evaluates others as code."""
    content = contents.get(f"{folder}/{CONFIG}")
    if content is None:
        raise UserError(f"{archive}: contains no {CONFIG}; expected a bundle of rule `bundle`")
    if "__use_yte__" in parsed(content, f"{archive}: {CONFIG}"):
        raise UserError(f"{archive}: {CONFIG} contains code (`__use_yte__`); not unpacked")


def _listed(archive: Path, contents: Mapping[str, bytes], folder: PurePosixPath) -> dict[str, str]:
    """Return the checksum of each file by its name in the archive; all files must be listed."""
    listing = contents.get(f"{folder}/{CHECKSUMS}")
    if listing is None:
        raise UserError(f"{archive}: contains no {CHECKSUMS}; expected a bundle of rule `bundle`")
    rows = [line.split("  ", 1) for line in listing.decode(errors="replace").splitlines()]
    listed = {f"{folder}/{row[1]}": row[0] for row in rows if len(row) == 2}
    others = {name for name in contents if name != f"{folder}/{CHECKSUMS}"}
    if unmatched := sorted(others ^ listed.keys()):
        raise UserError(
            f"{archive}: {unmatched[0]} is missing or not in {CHECKSUMS}; get the archive again"
        )
    return listed
