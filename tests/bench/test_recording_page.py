"""The page on the cost of recording has the numbers of its record."""

import json

from bench.recording import OUTPUT, markdown


def test_the_page_is_made_from_the_record():
    record = json.loads(OUTPUT.with_suffix(".json").read_text())
    assert OUTPUT.with_suffix(".md").read_text() == markdown(record), (
        "run python -m bench.recording"
    )


def test_the_overhead_counts_a_state_every_ten_updates():
    one = {
        "parameters": 1000, "update": 0.1, "record_update": 0.001, "record_state": 0.04,
        "state_bytes": 12_000, "update_bytes": 10,
    }  # fmt: skip
    made = json.loads(OUTPUT.with_suffix(".json").read_text())["made"]
    assert "| 5.0 % |" in markdown({"made": made, "measured": {"mine": one}})
