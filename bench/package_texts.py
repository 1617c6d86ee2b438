"""Texts of the files in a package archive: members, readers of each kind of file, paragraphs.

An archive is read as data: nothing in it is extracted, built or imported.
"""

import gzip
import html
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

Reader = Callable[[bytes], Iterable[str]]

LONGEST = 2000  # characters of a paragraph; a longer one is cut at the end of a line
_REPEATED = 80  # characters; longer paragraphs that were in the text before are boilerplate
_NOTICE = re.compile(r"copyright|licen[cs]e|SPDX|warranty", re.IGNORECASE)
_ENCODED = re.compile(r"[0-9A-Za-z+]{50}")  # keys, hashes and base64 are no language
_DIGITS = 0.3  # largest share of the characters of a paragraph; tables of numbers have more

_ENTRY = re.compile(r'^msgid ("(?:.|\n)*?")\n(?:msgid_plural |msgstr)', re.MULTILINE)
_TRANSLATION = re.compile(r'^msgstr(?:\[\d\])? ((?:".*"\n?)+)', re.MULTILINE)
_FUZZY = re.compile(r"^#,.*\bfuzzy\b", re.MULTILINE)
_PAGE = re.compile(r"<text [^>]*>(.*?)</text>", re.DOTALL)
_CATEGORY = re.compile(r"\[\[Category:([^\]|]*)")
TOPICS = {  # the first pattern in an article's categories is its topic
    "people": re.compile(r"births|deaths|people", re.IGNORECASE),
    "places": re.compile(
        r"cit(?:y|ies)|towns|countr|rivers|islands|counties|geography|states of|villages",
        re.IGNORECASE,
    ),
    "science": re.compile(
        r"physics|chemi|math|biolog|algebra|theor|astronom|elements|species|comput|software",
        re.IGNORECASE,
    ),
    "arts": re.compile(
        r"films|albums|novels|songs|music|literature|television|books|writers", re.IGNORECASE
    ),
}


def plain(data: bytes) -> Iterator[str]:
    """Yield a text file as a whole; bytes that are not UTF-8 are left out."""
    yield data.decode("utf-8-sig", errors="ignore").replace("\r\n", "\n")


def translations(data: bytes) -> Iterator[str]:
    """Yield the translated messages of a gettext catalogue, one per line.

    The original messages, fuzzy translations and the header (the entry of the empty message) are
    left out.
    """
    messages = []
    for entry in re.split(r"\n\s*\n", next(plain(data))):
        source = _ENTRY.search(entry)
        if source and _unquoted(source[1]) and not _FUZZY.search(entry):
            messages += [_unquoted(found[1]) for found in _TRANSLATION.finditer(entry)]
    yield "\n".join(filter(None, messages))


def _unquoted(strings: str) -> str:
    text = "".join(re.findall(r'"(.*)"', strings))
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text)


def articles(topic: str) -> Reader:
    """Return a reader of the articles of one of `TOPICS` in a compressed Wikipedia dump."""

    def read(data: bytes) -> Iterator[str]:
        dump = next(plain(gzip.decompress(data)))
        for page in _PAGE.finditer(dump):
            text = html.unescape(page[1])
            categories = " ".join(_CATEGORY.findall(text))
            topics = (name for name, pattern in TOPICS.items() if pattern.search(categories))
            if next(topics, None) == topic:
                yield text

    return read


def members(archive: Path, patterns: Iterable[str]) -> Iterator[bytes]:
    """Yield the content of the files of an archive that match a pattern, sorted by name.

    In a pattern, `*` matches slashes, too. The folder that a source archive has at its top is not
    part of the name.
    """
    wanted = tuple(patterns)
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in sorted(wheel.namelist()):
                if any(fnmatchcase(name, pattern) for pattern in wanted):
                    yield wheel.read(name)
        return
    with tarfile.open(archive) as sdist:
        contents = {}
        for member in sdist:
            name = member.name.partition("/")[2]
            if member.isfile() and any(fnmatchcase(name, pattern) for pattern in wanted):
                handle = sdist.extractfile(member)
                contents[name] = handle.read() if handle else b""
    yield from (contents[name] for name in sorted(contents))


def paragraphs(texts: Iterable[str]) -> Iterator[str]:
    """Yield the paragraphs of texts.

    Licence notices, encoded bytes, tables of numbers and long repetitions are left out.
    """
    seen: set[str] = set()
    for text in texts:
        for block in re.split(r"\n\s*\n", text):
            for paragraph in _cut(block.strip("\n").rstrip()):
                repeated = len(paragraph) > _REPEATED and paragraph in seen
                if paragraph.strip() and not repeated and not _is_noise(paragraph):
                    seen.add(paragraph)
                    yield paragraph


def _is_noise(paragraph: str) -> bool:
    digits = sum(map(str.isdigit, paragraph))
    return bool(
        _NOTICE.search(paragraph) or _ENCODED.search(paragraph) or digits > _DIGITS * len(paragraph)
    )


def _cut(block: str) -> Iterator[str]:
    """Yield groups of whole lines of at most about `LONGEST` characters."""
    group: list[str] = []
    for line in block.split("\n"):
        if group and sum(map(len, group)) + len(line) > LONGEST:
            yield "\n".join(group)
            group = []
        group.append(line)
    yield "\n".join(group)
