"""Domains can be told apart by their marks, with and without colours."""

import re

import pytest

from trainorder.config.unit_labels import MIXED
from trainorder.explorer.domain_marks import domain_marks

DEFAULT = ["scripture", "drama", "speeches", "encyclopedia", "code", MIXED]


@pytest.mark.parametrize(
    "names", [DEFAULT, ["speeches", "scripture", "science", "s"], ["aab", "aac", "aad", "", "é"]]
)
def test_each_domain_has_a_code_of_its_own(names):
    codes = [mark.code for mark in domain_marks(names).values()]
    assert len({*codes}) == len(names), codes
    assert all(len(code) in (1, 2) for code in codes), codes


def test_domains_of_the_default_study_have_colours_of_their_own():
    colours = [mark.colour for mark in domain_marks(DEFAULT).values()]
    assert len({*colours}) == len(DEFAULT), colours
    assert all(re.fullmatch("#[0-9A-Fa-f]{6}", colour) for colour in colours)


def test_a_code_is_readable_on_its_colour():
    """The contrast of large text in WCAG 2: at least 3."""

    def luminance(colour):
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for name, mark in domain_marks([*DEFAULT, "x", "y"]).items():
        dark, light = sorted(luminance(colour) for colour in (mark.colour, mark.ink))
        assert (light + 0.05) / (dark + 0.05) >= 3, f"{name}: {mark}"


def test_marks_do_not_depend_on_the_sequence_of_the_units():
    assert domain_marks(DEFAULT) == domain_marks([*reversed(DEFAULT), "code"])
