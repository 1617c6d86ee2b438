"""The checkpoints of a window; a run without them raises a one-line error."""

import os
import re

import pytest

from trainorder.config.sections.window import WindowConfig
from trainorder.errors import UserError
from trainorder.recording.record.layout import MOMENTS_FILE, PARAMETERS_FILE
from trainorder.training.existing_run.checkpoint_files import (
    checkpoint_files,
    retrained_spans,
    window_checkpoints,
)

WINDOW = WindowConfig(  # from step 10 to step 18
    warmup_steps=10, units=8, unit_size=1, units_per_step=1, epochs=1, mixed_fraction=0.0
)


def run_of(folder, *steps, files=(PARAMETERS_FILE, MOMENTS_FILE)):
    """Create a run of empty files and return its folder."""
    for step in steps:
        (folder / f"checkpoint-{step}").mkdir()
        for name in files:
            (folder / f"checkpoint-{step}" / name).touch()
    return folder


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (range(9, 21), range(10, 19)),
        (range(0, 30, 2), range(10, 19, 2)),
        ((10, 11, 15, 18), (10, 11, 15, 18)),
        ((5, 10, 15, 20), (10, 15)),
        ((10,), (10,)),
        ((10, 18, 1000), (10, 18)),
    ],
    ids=["every step", "every second", "irregular", "not at the end", "first alone", "both ends"],
)
def test_the_checkpoints_in_the_window_are_used(tmp_path, steps, expected):
    folder = run_of(tmp_path, *steps)
    (folder / "checkpoint-last").mkdir()
    (folder / "runs").mkdir()
    assert window_checkpoints(folder, WINDOW) == list(expected)


def test_files_are_listed_by_checkpoint(tmp_path):
    names = checkpoint_files("run", [10, 12])
    assert names[:2] == [
        "run/checkpoint-10/model.safetensors",
        "run/checkpoint-10/optimizer.safetensors",
    ]
    assert len(names) == 4


INVALID = {
    "no checkpoints": ((), "contains no folder checkpoint-<step>"),
    "the window starts between two": ((8, 12, 16, 20), "checkpoint-10: missing, but the window"),
    "the run starts later": ((11, 12, 20), "the nearest is checkpoint-11"),
}  # fmt: skip


@pytest.mark.parametrize("case", INVALID)
def test_checkpoints_that_do_not_fit_raise_with_the_path(tmp_path, case):
    steps, message = INVALID[case]
    with pytest.raises(UserError, match=message) as error:
        window_checkpoints(run_of(tmp_path, *steps), WINDOW)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(tmp_path))


def test_a_run_that_is_not_a_folder_raises(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(UserError, match=r"run: cannot be read: Not a directory; make it readable"):
        window_checkpoints(tmp_path / "run", WINDOW)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("name", ["", "checkpoint-14"])
def test_an_unreadable_folder_raises_with_its_path(tmp_path, name):
    folder = run_of(tmp_path, *range(10, 19))
    (folder / name).chmod(0)
    try:
        with pytest.raises(UserError, match=rf"{name}: cannot be read: Permission denied"):
            window_checkpoints(folder, WINDOW)
    finally:
        (folder / name).chmod(0o755)


@pytest.mark.parametrize("name", [PARAMETERS_FILE, MOMENTS_FILE])
def test_a_missing_file_raises_with_its_path(tmp_path, name):
    folder = run_of(tmp_path, *range(10, 19))
    (folder / "checkpoint-14" / name).unlink()
    with pytest.raises(UserError, match=rf"^\S*checkpoint-14/{re.escape(name)}: missing; "):
        window_checkpoints(folder, WINDOW)


@pytest.mark.parametrize(
    ("pickled", "name"), [("optimizer.pt", MOMENTS_FILE), ("pytorch_model.bin", PARAMETERS_FILE)]
)
def test_a_pickle_raises_and_the_message_says_how_to_convert(tmp_path, pickled, name):
    folder = run_of(tmp_path, *range(10, 19))
    (folder / "checkpoint-14" / name).rename(folder / "checkpoint-14" / pickled)
    message = rf"checkpoint-14/{re.escape(pickled)}: pickles .* {re.escape(name)} .* docs/run.md"
    with pytest.raises(UserError, match=message):
        window_checkpoints(folder, WINDOW)


OTHER_FORMS = {
    "model.safetensors.index.json": r"in several files .* trainorder.recording import",
    "adapter_config.json": r"the checkpoint has adapters alone; record such a run",
}


@pytest.mark.parametrize("name", OTHER_FORMS)
def test_parameters_in_another_form_raise_and_the_message_says_what_to_do(tmp_path, name):
    folder = run_of(tmp_path, *range(10, 19))
    (folder / "checkpoint-14" / PARAMETERS_FILE).rename(folder / "checkpoint-14" / name)
    with pytest.raises(UserError, match=OTHER_FORMS[name]):
        window_checkpoints(folder, WINDOW)


SPANS = {  # checkpoints of the window from 10 to 18, and the spans that are trained again
    "every step": (range(10, 19), [(10, 11), (17, 18)]),
    "every step but the last": (range(10, 18), [(10, 11), (16, 17), (17, 18)]),
    "every third": ((10, 13, 16), [(10, 13), (13, 16), (16, 18)]),
    "irregular": ((10, 11, 12, 13, 18), [(10, 11), (12, 13), (13, 18)]),
    "the first alone": ((10,), [(10, 18)]),
}


@pytest.mark.parametrize("case", SPANS)
def test_all_states_without_a_checkpoint_and_two_stored_steps_are_trained_again(case):
    steps, expected = SPANS[case]
    assert retrained_spans(list(steps), 18) == expected
