"""Steps and states of a record are found by their names."""

import pytest

from recorded_runs import Run
from trainorder.errors import UserError
from trainorder.recording.record.layout import recorded_steps, step_path


def test_a_record_with_a_lost_step_raises(tmp_path):
    run = Run()
    with run.recorder(tmp_path) as record:
        run.train(record)
    step_path(tmp_path, 3).unlink()
    with pytest.raises(UserError, match=r"00000003.safetensors: missing"):
        recorded_steps(tmp_path)
