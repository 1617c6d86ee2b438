"""Texts of the files in package archives."""

import gzip
import io
import tarfile
import zipfile

import pytest

from bench.package_texts import LONGEST, articles, members, paragraphs, plain, translations

CATALOGUE = """# a comment
msgid ""
msgstr ""
"Language: de\\n"

#: file.py:3
msgid "Save \\"%s\\""
msgstr "„%s“ speichern"

#, fuzzy
msgid "Open"
msgstr "Falsch"

msgid ""
"A long "
"message"
msgstr ""
"Eine lange "
"Nachricht\\n"
"mit zwei Zeilen"

msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d Datei"
msgstr[1] "%d Dateien"

msgid "Untranslated"
msgstr ""
"""
FILES = {"docs/b.txt": b"b", "docs/deep/a.txt": b"a", "src/a.py": b"c"}


def test_a_catalogue_gives_its_translations_and_no_original_fuzzy_or_empty_message():
    assert next(translations(CATALOGUE.encode())).split("\n") == [
        "„%s“ speichern",
        "Eine lange Nachricht",
        "mit zwei Zeilen",
        "%d Datei",
        "%d Dateien",
    ]


def test_an_article_has_one_topic_and_a_redirect_has_none():
    pages = [
        "Ada [[Category:1815 births]][[Category:Mathematicians]]",
        "Helium &lt;ref&gt; [[Category:Chemical elements]]",
        "#REDIRECT [[Helium]]",
    ]
    dump = gzip.compress("".join(f"<text x='y'>{page}</text>" for page in pages).encode())
    assert list(articles("people")(dump)) == [pages[0]]
    assert list(articles("science")(dump)) == ["Helium <ref> [[Category:Chemical elements]]"]
    assert list(articles("arts")(dump)) == []


@pytest.fixture(params=["wheel", "sdist"])
def archive(request, tmp_path):
    if request.param == "wheel":
        path = tmp_path / "package.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            for name, data in FILES.items():
                wheel.writestr(name, data)
        return path
    path = tmp_path / "package.tar.gz"
    with tarfile.open(path, "w:gz") as sdist:
        for name, data in FILES.items():
            member = tarfile.TarInfo(f"package-1.0/{name}")
            member.size = len(data)
            sdist.addfile(member, io.BytesIO(data))
    return path


def test_members_match_a_pattern_below_the_top_folder_and_are_sorted_by_name(archive):
    assert list(members(archive, ["docs/*.txt"])) == [b"b", b"a"]
    assert list(members(archive, ["*.py", "docs/deep/*"])) == [b"a", b"c"]


def test_paragraphs_leave_out_notices_encoded_bytes_numbers_and_long_repetitions():
    text = "word " * 30
    kept = ["short", f"{text}.", "short"]
    noise = ["Copyright 2020 by us", "key " + "A" * 60, "{ 0142257, 0164150 },", f"{text}."]
    assert list(paragraphs(["\n\n".join([*kept, *noise])])) == kept


def test_a_long_paragraph_is_cut_at_ends_of_lines():
    lines = [f"line {number} " + "x y " * 50 for number in range(40)]
    parts = list(paragraphs(["\n".join(lines)]))
    assert "\n".join(parts).split("\n") == [*lines[:-1], lines[-1].rstrip()]
    assert max(map(len, parts)) <= LONGEST + len(parts)


def test_plain_text_has_unix_line_ends_and_no_invalid_bytes():
    assert list(plain(b"\xef\xbb\xbfone\r\ntwo\xff")) == ["one\ntwo"]
