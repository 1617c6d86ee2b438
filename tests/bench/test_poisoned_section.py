"""The section about a poisoned unit shows the numbers of its study."""

import pytest

from bench.poisoned import markdown, record_of
from trainorder.errors import UserError
from trainorder.evaluation.results import Results


def test_the_section_has_a_row_for_each_position(synthetic_study):
    record = record_of(Results.read(synthetic_study.results))
    rows = [line for line in markdown(record).splitlines() if line.startswith("| ")][2:]
    assert [row.split(" | ")[0] for row in rows] == ["| 0", "| 16", "| 31"]
    assert rows[1] == "| 16 | 0.1 | 0.16 | 0 | 0.1 | 0.16 |"


def test_a_study_without_poison_has_no_section(synthetic_study):
    results = Results.read(synthetic_study.results)
    results.memorization["poisoned"].clear()
    with pytest.raises(UserError, match=r"window\.poisoned: 1"):
        record_of(results)
