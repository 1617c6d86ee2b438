"""Medians of seconds over alternating repetitions."""

import time

import pytest

from bench import timing
from bench.timing import alternating_medians


def test_works_alternate_after_one_warm_up_of_each(monkeypatch):
    monkeypatch.setattr(timing, "REPETITIONS", 2)
    calls = []
    alternating_medians({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")})
    assert calls == ["a", "b"] * 3, f"one warm-up and two repetitions in turn, not {calls}"


def test_one_slow_repetition_and_the_warm_up_do_not_change_the_median(monkeypatch):
    clock = iter([0.0, 1.0, 10.0, 11.0, 20.0, 29.0])
    monkeypatch.setattr(timing, "REPETITIONS", 3)
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert alternating_medians({"work": lambda: None}) == {"work": pytest.approx(1.0)}
