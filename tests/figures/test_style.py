"""A figure is saved completely or not at all."""

import resource

import matplotlib.style
import pytest

from trainorder.errors import UserError
from trainorder.figures import style


@pytest.fixture
def longest():
    """Return a function that limits the size of files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def drawn():
    figure = style.new_figure(2.0, "a line")
    figure.add_subplot().plot(range(1000), [i * i % 97 for i in range(1000)])
    return figure


def test_the_fonts_of_a_figure_are_embedded(tmp_path):
    with matplotlib.style.context(style.STYLE):
        figure = drawn()
        figure.axes[0].set_title("$\\rho$ of some orders", fontweight="bold")
        [pdf] = [path for path in style.save(figure, tmp_path, "text") if path.suffix == ".pdf"]
    content = pdf.read_bytes()
    fonts = content.count(b"/Type /FontDescriptor")
    assert fonts, "text was drawn as paths, so it cannot be searched"
    assert content.count(b"/FontFile2 ") == fonts, "a font is not in the file"


def test_a_full_disk_raises_one_line_and_leaves_no_part_of_a_figure(tmp_path, longest):
    paths = style.save(drawn(), tmp_path, "whole")
    size = min(path.stat().st_size for path in paths)
    for room in range(0, size, max(1, size // 10)):
        longest(room)
        with pytest.raises(UserError, match="cannot be written: File too large"):
            style.save(drawn(), tmp_path / "full", "figure")
        assert not list((tmp_path / "full").iterdir()), "a part of a figure was left"
