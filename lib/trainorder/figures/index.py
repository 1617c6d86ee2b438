"""The index of a folder of figures: captions, files, and what each figure answers."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from trainorder.figures.captions import as_html, as_markdown
from trainorder.figures.catalogue import CATALOGUE, RESULT, SECTIONS, Entry
from trainorder.figures.published import published_text
from trainorder.storage.formats import write_text

HTML, MARKDOWN = "index.html", "index.md"  # in the folder of the figures
_HEAD = "Figures of the study"
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "img{width:100%;height:auto}code{background:#f2f2f2}.source{color:#555;font-size:90%}"
)


def write_index(names: Iterable[str], folder: str | Path) -> list[Path]:
    """Write the index of the figures in a folder, in HTML and in Markdown; return both files.

    Args:
        names: the figures in it.
        folder: `results/<study>/figures`.

    """
    shown = [name for name in CATALOGUE if name in {*names}]
    texts = {HTML: _html_page(shown), MARKDOWN: _markdown_page(shown)}
    for name, text in texts.items():
        write_text(Path(folder) / name, text)
    return [Path(folder) / name for name in texts]


def figure_html(name: str, *, image: str, results: str) -> str:
    """Return a figure with its caption and sources.

    Args:
        name: of the figure.
        image: the address of its picture.
        results: the address of the folder with the result files, relative to the page.

    """
    entry = CATALOGUE[name]
    title = html.escape(entry.title)
    return (
        f'<figure id="{name}">\n<h3>{title}</h3>\n<img src="{image}" alt="{title}">\n<figcaption>\n'
        f"{caption_html(entry)}\n{_sources_html(name, results)}\n</figcaption>\n</figure>"
    )


def caption_html(entry: Entry) -> str:
    """Return the paragraphs of a caption."""
    return "\n".join(f"<p>{as_html(paragraph)}</p>" for paragraph in entry.paragraphs)


def _sources_html(name: str, results: str) -> str:
    entry = CATALOGUE[name]
    files = ", ".join(
        f'<a href="{results}/{file.name}">{html.escape(file.name)}</a>' for file in entry.files
    )
    answers = html.escape(_answers(entry))
    pdf = f'<a href="{results}/figures/{name}.pdf">PDF</a>'
    return f'<p class="source">Drawn from {files}. {pdf} for print. {answers}</p>'


def _answers(entry: Entry) -> str:
    if entry.answers is None:
        return "The published study has no such figure."
    return f"Counterpart in Yang et al. (2025): {published_text(entry.answers)}."


def sections(names: Sequence[str]) -> dict[str, list[str]]:
    """Return the figures by section, in the sequence of the report; no section is empty."""
    by_section = {
        section: [name for name in names if CATALOGUE[name].section == section]
        for section in (RESULT, *SECTIONS)
    }
    return {section: inside for section, inside in by_section.items() if inside}


def _html_page(names: Sequence[str]) -> str:
    body = "\n".join(
        f"<h2>{section}</h2>\n"
        + "\n".join(figure_html(name, image=f"{name}.png", results="..") for name in inside)
        for section, inside in sections(names).items()
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{_HEAD}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{_HEAD}</h1>\n{body}\n</body>\n</html>\n"
    )


def _markdown_page(names: Sequence[str]) -> str:
    parts = [f"# {_HEAD}"]
    for section, inside in sections(names).items():
        parts.append(f"## {section}")
        for name in inside:
            entry = CATALOGUE[name]
            parts += [f"### {entry.title}", f"![{entry.title}]({name}.png)"]
            parts += [as_markdown(paragraph) for paragraph in entry.paragraphs]
            files = ", ".join(f"[{file.name}](../{file.name})" for file in entry.files)
            parts.append(f"Drawn from {files}. {_answers(entry)}")
    return "\n\n".join(parts) + "\n"


def markdown_table(names: Sequence[str]) -> str:
    """Return a table of figures: what each shows, its files, and what it answers.

    The documentation includes it.
    """
    rows = [
        "| figure | what it shows | drawn from | answers of the published study |",
        "|---|---|---|---|",
    ]
    for name in names:
        entry = CATALOGUE[name]
        files = ", ".join(f"`{file.name}`" for file in entry.files)
        answers = published_text(entry.answers) if entry.answers else "–"
        rows.append(f"| `{name}` | {entry.title}: {_first_sentence(entry)} | {files} | {answers} |")
    return "\n".join(rows)


def _first_sentence(entry: Entry) -> str:
    sentence = as_markdown(entry.paragraphs[0]).partition(". ")[0].rstrip(".")
    return sentence.replace("|", "\\|")
