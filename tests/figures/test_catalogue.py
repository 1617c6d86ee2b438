"""Every figure has one caption, which report, index and workflow show."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from trainorder.errors import UserError
from trainorder.evaluation.result_files import RESULT_FILES
from trainorder.figures.captions import as_html
from trainorder.figures.catalogue import (
    CATALOGUE,
    EXPLORER,
    RESULT,
    SECTIONS,
    figures_with,
    requested,
)
from trainorder.figures.drawing import FIGURES
from trainorder.figures.index import write_index
from trainorder.figures.published import PUBLISHED, published_text

ENTRIES = {**CATALOGUE, "explorer": EXPLORER}


def test_every_figure_is_in_the_catalogue_and_every_caption_has_a_figure():
    assert set(CATALOGUE) == set(FIGURES)
    files = {path.name for path in EXPLORER.caption_file.parent.glob("*.rst")}
    assert files == {entry.caption for entry in ENTRIES.values()}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_caption_says_what_is_shown_what_it_means_and_what_it_does_not(name):
    shown, *rest = ENTRIES[name].paragraphs
    assert not shown.startswith("*What")
    assert [text.partition(":")[0] for text in rest] == ["*What it means", "*What it does not mean"]


@pytest.mark.parametrize("name", ENTRIES)
def test_a_caption_has_only_the_markup_that_html_and_markdown_keep(name):
    for paragraph in ENTRIES[name].paragraphs:
        rest = re.sub(r"``[^`]+``", "", paragraph)
        assert not re.search(r"[`|_]{1}(?=[^ ]*`)|::|\\.\\. ", rest), paragraph
        left = re.sub(r"<(em|code)>[^<]*</\1>", "", as_html(paragraph))
        assert "*" not in left, f"emphasis is lost: {left}"
        assert "`" not in left, f"code is lost: {left}"


@pytest.mark.parametrize("name", ENTRIES)
def test_a_figure_names_its_section_its_files_and_what_it_answers(name):
    entry = ENTRIES[name]
    assert entry.section in (RESULT, *SECTIONS)
    assert entry.files
    assert set(entry.files) <= set(RESULT_FILES), "figures are drawn from archived files only"
    assert entry.answers is None or entry.answers in PUBLISHED


def test_the_published_study_is_described_by_the_same_words_on_its_page():
    page = (Path(__file__).parents[2] / "docs/published.md").read_text(encoding="utf-8")
    for key in PUBLISHED:
        text = PUBLISHED[key] if key.startswith("abstract") else published_text(key)
        assert f"| {text} |" in page, f"{key} has other words in docs/published.md"


class Figures(HTMLParser):
    """The figures of an index with the addresses in each."""

    def __init__(self, text):
        super().__init__()
        self.found, self.name = {}, None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "figure":
            self.name = attributes["id"]
            self.found[self.name] = []
        elif self.name:
            self.found[self.name] += [v for k, v in attrs if k in ("href", "src")]


def test_the_index_has_every_figure_with_its_caption_and_files(tmp_path):
    page, markdown = (path.read_text(encoding="utf-8") for path in write_index(FIGURES, tmp_path))
    figures = Figures(page).found
    assert list(figures) == list(CATALOGUE)
    for name, entry in CATALOGUE.items():
        expected = [f"{name}.png", *(f"../{file.name}" for file in entry.files)]
        assert figures[name] == [*expected, f"../figures/{name}.pdf"]
        assert f"({name}.png)" in markdown
        for paragraph in entry.paragraphs:
            assert as_html(paragraph) in page
            assert paragraph.replace("``", "`") in markdown
        if entry.answers:
            assert published_text(entry.answers) in page
            assert published_text(entry.answers) in markdown


def test_the_index_lists_only_the_figures_of_the_study(tmp_path):
    page = write_index(["overview"], tmp_path)[0].read_text(encoding="utf-8")
    assert list(Figures(page).found) == ["overview"]


def test_figures_of_missing_parts_are_left_out():
    assert "memorization" not in figures_with(["curriculum"])
    assert "curriculum" in figures_with(["curriculum"])


@pytest.mark.parametrize("asked", ["curriculum, overview", ["curriculum", "overview"]])
def test_figures_are_named_by_a_list_or_with_commas(asked):
    assert requested(asked, list(CATALOGUE)) == ["curriculum", "overview"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("magic", "figures: 'magic' is unknown; choose from overview"),
        (["stores"], "figures: 'stores' is of a part that this study lacks; choose from overview"),
        (3, "figures: expected names of figures, not 3"),
        ([], "figures: expected names of figures"),
        ("", "figures: '' is unknown"),
    ],
)
def test_a_wrong_name_raises_one_line_with_the_names(asked, message):
    with pytest.raises(UserError, match=re.escape(message)) as raised:
        requested(asked, ["overview", "order_lds"])
    assert "\n" not in str(raised.value)
