"""The table of studies that the rule was not made from says which ended as expected."""

import pytest

from bench.page import NOT_MEASURED
from bench.predictability_page import checked


def study(rank, verdict="trusted"):
    return {"study": f"s{rank}", "growth": 1.0, "class": "predictable", "verdict": verdict,
            "order_lds": rank}  # fmt: skip


@pytest.mark.parametrize(
    ("rank", "within"), [(0.8, "no, worse"), (0.9, "yes"), (0.95, "yes"), (0.99, "no, better")]
)
def test_a_study_is_within_the_range_of_its_class(rank, within):
    text = checked([study(0.9), study(0.95)], [study(rank)])
    assert f"| trusted, order-LDS {rank} | {within} |" in text


def test_the_studies_within_are_counted():
    text = checked([study(0.9), study(0.95)], [study(0.92), study(0.5)])
    assert text.endswith(
        "The order-LDS of 1 of 2 studies is in the range of their class, that of 0 is better and "
        "that of 1 worse."
    )


def test_a_class_without_studies_expects_nothing():
    assert "| predictable | trusted, order-LDS 0.9 | – |" in checked([], [study(0.9)])


def test_without_further_studies_nothing_is_measured():
    assert checked([study(0.9)], []) == NOT_MEASURED
