"""Numbers and marked parts of measured pages."""

import pytest

from bench.page import number, replace_marked, short_number


@pytest.mark.parametrize(
    ("value", "three", "two"),
    [
        (0.2345, "0.234", "0.23"),
        (12.345, "12.3", "12"),
        (123.4, "123", "123"),
        (4704.2, "4.7e+03", "4,704"),
        (None, "–", "–"),
    ],
)
def test_numbers_have_three_digits_and_short_numbers_two(value, three, two):
    assert (number(value), short_number(value)) == (three, two)


def test_only_the_text_between_the_marks_of_that_name_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    other = "<!-- b -->\nother\n<!-- /b -->"
    page.write_text(f"before\n<!-- a -->\nold\n<!-- /a -->\n{other}\n", encoding="utf-8")
    replace_marked(page, "a", "é")
    expected = f"before\n<!-- a -->\né\n<!-- /a -->\n{other}\n"
    assert page.read_text(encoding="utf-8") == expected
