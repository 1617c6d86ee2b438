"""The section about a poisoned unit shows the numbers of its study."""

import re
from types import SimpleNamespace

import pytest

from bench import poisoned
from bench.poisoned import markdown, record_of
from trainorder.errors import UserError
from trainorder.evaluation.results import Results


@pytest.fixture
def study(synthetic_study, monkeypatch):
    """Return a study with made-up effects by its most accurate estimator."""

    def effect(_, estimator, unit, step):
        return {"heldout": step / 100, "own": None}

    monkeypatch.setattr(poisoned, "replayed_effect", effect)
    return SimpleNamespace(results=Results.read(synthetic_study.results))


def test_the_section_has_a_row_for_each_position(study):
    text = markdown(record_of(study))
    rows = [line for line in text.splitlines() if re.match(r"\| \d", line)]
    assert [row.split(" | ")[0] for row in rows] == ["| 0", "| 16", "| 31"] * 2
    wrong = "true, replayed and mapped effects are in the wrong columns"
    assert rows[1] == "| 16 | 0.16 | 0.16 | 0.1 | 0 |", wrong
    assert rows[4] == "| 16 | 0.16 | – | 0.1 |", wrong


def test_the_section_names_both_estimators_with_their_verdicts(study):
    record = record_of(study)
    best = study.results.validation["best_estimator"]
    assert f"`{best}`, the most accurate estimator, is" in markdown(record)
    assert f"`{record['estimator']}`, which gives the maps, is" in markdown(record)


def test_a_study_without_poison_has_no_section(study):
    study.results.memorization["poisoned"].clear()
    with pytest.raises(UserError, match=r"window\.poisoned: 1"):
        record_of(study)
