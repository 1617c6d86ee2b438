"""The sentence about an existing run claims no more than what was verified."""

import json
from dataclasses import replace

import pytest

import synthetic
from trainorder.evaluation.run_verification import verification_text


@pytest.mark.parametrize(
    ("verified", "stored", "unverified", "said"),
    [
        ([[0, 4], [4, 6]], [], [], ["6 of 6 steps are verified"]),
        ([[0, 4]], [], [[4, 6]], ["4 of 6 steps are verified", "last 2 steps are not", "step 4"]),
        ([[0, 5]], [], [[5, 6]], ["5 of 6 steps are verified", "last step is not", "step 5"]),
        (
            [[0, 1], [2, 3]],
            [[1, 2]],
            [[3, 6]],
            ["2 of 6 steps are verified", "1 is read from checkpoints", "last 3 steps are not"],
        ),
    ],
)
def test_every_step_is_counted_as_what_it_is(verified, stored, unverified, said):
    intervals = {"verified": verified, "stored": stored, "unverified": unverified}
    text = verification_text(intervals)
    for part in said:
        assert part in text
    assert ("not" in text) == bool(unverified or stored), "it claims too much or too little"
    assert "nothing shows" not in text


def test_a_run_with_one_checkpoint_is_said_to_be_unverified():
    text = verification_text({"verified": [], "stored": [], "unverified": [[0, 6]]})
    assert text.startswith("none of the 6 steps is verified")
    assert "nothing shows that the study repeats the run" in text


def test_the_record_of_the_reference_is_in_the_result_file(tmp_path):
    study = synthetic.make(tmp_path, random=6, calibration=10)
    assert study.validate()["existing_run"] is None, "the study trained its own reference"
    intervals = {"verified": [[0, 20]], "stored": [], "unverified": [[20, 32]]}
    file = tmp_path / "verification.json"
    file.write_text(json.dumps(intervals))
    with_run = replace(study.inputs, verification=str(file))
    assert replace(study, inputs=with_run).validate()["existing_run"] == intervals
    assert json.loads((study.results / "validation.json").read_text())["existing_run"] == intervals
