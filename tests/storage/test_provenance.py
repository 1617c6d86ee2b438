"""Digests depend only on values, and the provenance record can be written as JSON."""

import json

from trainorder.storage.provenance import digest, machine, versions


def test_digest_depends_on_values_but_not_on_the_sequence_of_keys():
    assert digest({"a": 1, "b": [2, None]}) == digest({"b": [2, None], "a": 1})
    assert digest(1, 2) != digest(2, 1)
    assert digest("1") != digest(1)
    assert len(digest(0)) == 16


def test_versions_and_machine_can_be_written_as_json():
    assert "torch" in versions()
    assert machine()["cores"] >= 1
    json.dumps([versions(), machine()], allow_nan=False)
