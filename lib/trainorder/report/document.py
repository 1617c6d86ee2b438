"""Writes the report: the first page with the answers, then the figures, section by section."""

import base64
import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainorder.evaluation import result_files
from trainorder.evaluation.results import Results
from trainorder.figures.catalogue import EXPLORER, RESULT, SECTIONS
from trainorder.figures.index import HTML as INDEX
from trainorder.figures.index import caption_html, figure_html, sections
from trainorder.figures.published import PAPER, PAPER_ADDRESS
from trainorder.report.estimators import estimator_text, verdict_text
from trainorder.report.first_page import (
    BEST_ORDER,
    LIMITS,
    QUESTION,
    WHICH_ESTIMATOR,
    WORDS,
    answers,
)
from trainorder.report.order_strip import order_strip
from trainorder.report.setting import named_orders, retrained_orders, setting, verified_run
from trainorder.storage.formats import read_json, write_text

_STYLE = "report.css"
_FIRST_FIGURE = "overview"


def write_report(
    folder: str | Path, names: Sequence[str], page: str | Path, first: str | Path
) -> None:
    """Write the report, and its first page alone for the report of the workflow.

    Args:
        folder: the study's results, with `figures/`.
        names: the figures in it.
        page: the file of the report, in `folder`: its links are relative to it.
        first: the file of the first page.

    Raises:
        UserError: a result file is missing or malformed.

    """
    results, style = Results.read(folder), f"<style>\n{_style()}</style>"
    opening = _first_page(results, Path(folder), names)
    alone = opening.replace('href="#', f'href="{Path(page).name}#')
    body = "\n".join([opening, *_sections(results, Path(folder), names)])
    title = f"trainorder: study {html.escape(str(results.validation['study']))}"
    write_text(first, f'{style}\n<div class="report">\n{alone}\n</div>\n')
    write_text(
        page,
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n{style}\n</head>\n<body>\n"
        f'<div class="report">\n{body}\n</div>\n</body>\n</html>\n',
    )


def _style() -> str:
    return Path(__file__).with_name(_STYLE).read_text(encoding="utf-8")


def _first_page(results: Results, folder: Path, names: Sequence[str]) -> str:
    units = read_json(result_files.ORDERS.path(folder), result_files.ORDERS.rule)["unit_domains"]
    words = {f"*{word}*": text for word, text in WORDS.items()}
    named = {f"`{name}`": text for name, text in named_orders(results).items()}
    parts = [
        f"<h1>{QUESTION}</h1>",
        f'<p class="study">{html.escape(results.label())}</p>',
        _links(folder, names),
        f"<p>{_text(setting(results, units))}</p>",
        f"<p>{_text(verified_run(results))}</p>" if results.existing_run else "",
        f"<p>{_text(retrained_orders(results))}</p>",
        f"<details><summary>Words used here: {', '.join(WORDS)}</summary>\n{_glossary(words)}"
        "</details>",
        f"<details><summary>Names of orders that are not random</summary>\n{_glossary(named)}"
        "</details>",
    ]
    for question, sentences, table, note in answers(results):
        parts += [f"<h3>{html.escape(question)}</h3>", *(f"<p>{_text(s)}</p>" for s in sentences)]
        parts += [_table(table), f"<p>{_text(note)}</p>" if note else ""]
        if question == WHICH_ESTIMATOR and _FIRST_FIGURE in names:
            parts.append(_figure(_FIRST_FIGURE, folder))
        if question == BEST_ORDER:
            parts.append(order_strip(folder))
    parts.append(f"<h3>What this page does not say</h3>\n<p>{_text(LIMITS)}</p>")
    return "\n".join(filter(None, parts))


def _links(folder: Path, names: Sequence[str]) -> str:
    """Return the links to everything else: explorer, sections, index and result files."""
    links = []
    if result_files.EXPLORER.path(folder).exists():
        links.append(f"{_explorer_link()}: move units and see the effect at once")
    inside = [section for section in sections(names) if section != RESULT]
    links.append("This report: " + ", ".join(f'<a href="#{s}">{s}</a>' for s in inside))
    files = (result_files.VALIDATION, result_files.ESTIMATES, result_files.TRUTH)
    named = ", ".join(f'<a href="{file.name}">{file.name}</a>' for file in files)
    links.append(f'<a href="figures/{INDEX}">Index of the figures</a>; numbers: {named}')
    links.append(f'The published method: {PAPER}, <a href="{PAPER_ADDRESS}">{PAPER_ADDRESS}</a>')
    return "<nav>\n<ul>\n" + "\n".join(f"<li>{link}</li>" for link in links) + "\n</ul>\n</nav>"


def _explorer_link() -> str:
    return f'<a href="{result_files.EXPLORER.name}">Order explorer</a>'


def _sections(results: Results, folder: Path, names: Sequence[str]) -> list[str]:
    parts = []
    for section, inside in sections(names).items():
        if section == RESULT:
            continue
        parts.append(f'<h2 id="{section}">{section}</h2>')
        if section == SECTIONS[0]:
            parts.append(_estimators(results))
        parts += [_figure(name, folder) for name in inside]
    if result_files.EXPLORER.path(folder).exists():
        parts.append(f'<h2 id="{EXPLORER.section}">{EXPLORER.section}</h2>')
        parts.append(
            f"<p>{_explorer_link()}, the file <code>{result_files.EXPLORER.name}</code> beside "
            f"this one.</p>\n{caption_html(EXPLORER)}"
        )
    return parts


def _estimators(results: Results) -> str:
    """Return what each estimator of the study is, and its verdict with the reason."""
    known = {
        f"`{name}`": f"{estimator_text(name)}. Verdict: {verdict_text(results, name)}"
        for name in results.estimators
    }
    return f"<p>The estimators of this study:</p>\n{_glossary(known)}"


def _glossary(entries: Mapping[str, str]) -> str:
    """Return a list of terms and what they mean, both in the form of sentences (`_text`)."""
    lines = "\n".join(f"<li>{_text(f'{term}: {text}')}</li>" for term, text in entries.items())
    return f'<ul class="words">\n{lines}\n</ul>'


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first row is the heading; nothing without rows."""
    if not rows:
        return ""
    lines = [
        "".join(f"<{kind}>{_text(cell)}</{kind}>" for cell in row)
        for kind, row in zip(["th", *["td"] * (len(rows) - 1)], rows, strict=True)
    ]
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table>\n{body}\n</table></div>'


def _figure(name: str, folder: Path) -> str:
    """Return a figure with its picture inside, so that the page can be sent alone."""
    content = base64.b64encode((folder / "figures" / f"{name}.png").read_bytes()).decode()
    return figure_html(name, image=f"data:image/png;base64,{content}", results=".")


def _text(sentence: str) -> str:
    """Return a sentence in HTML; it may have code, emphasis and strong text as in Markdown."""
    text = re.sub(r"`(.+?)`", r"<code>\1</code>", html.escape(sentence))
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"\*(.+?)\*", r"<em>\1</em>", text)
