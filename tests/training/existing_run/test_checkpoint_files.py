"""The checkpoints of a window; a run without them raises a one-line error."""

import os
import re

import pytest

from trainorder.config.sections import EstimatorConfig, WindowConfig
from trainorder.errors import UserError
from trainorder.training.existing_run.checkpoint_files import (
    MOMENTS_FILE,
    PARAMETERS_FILE,
    check_path_is_exact,
    check_readouts,
    checkpoint_files,
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
        ((10, 15, 18), (10, 15, 18)),  # a trainer also stores its last state
        ((10, 18, 1000), (10, 18)),
    ],
    ids=["every step", "every second", "the run ends there", "start and end alone"],
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
    "the run ends before": ((10, 12, 14, 16), "checkpoint-18: missing, but the window ends"),
    "the start alone": ((10,), "the nearest is checkpoint-10"),
    "one is missing": ((10, 12, 16, 18), "checkpoint-14: missing: .* are 2 steps apart, but"),
    "the last is far": ((10, 12, 14, 16, 30), "nearest are checkpoint-16 and checkpoint-30"),
    "the end lies between two": ((0, 5, 10, 15, 20), "checkpoint-18: missing, .* losses of"),
    "a later one alone": ((10, 40), "nearest are checkpoint-10 and checkpoint-40"),
    "one out of step": ((10, 13, 14, 16, 18), "checkpoint-14: irregular: .* 1 after"),
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


def test_readouts_need_checkpoints():
    check_readouts("run", [10, 14, 18], WINDOW, 2)
    check_readouts("run", [10, 18], WINDOW, 1)
    with pytest.raises(UserError, match=r"curriculum.readouts: 2: .* run has no checkpoint-14;"):
        check_readouts("run", [10, 18], WINDOW, 2)


def test_the_reduced_model_on_interpolated_states_raises():
    reduced = [EstimatorConfig("reduced", path) for path in ("reference", "barycentre")]
    check_path_is_exact("run", [10, 11, 12], reduced)
    check_path_is_exact("run", [10, 12], [reduced[1], EstimatorConfig("order0", "reference")])
    with pytest.raises(UserError, match="reduced@reference: needs a checkpoint at every step"):
        check_path_is_exact("run", [10, 12], reduced)
    corrected = [EstimatorConfig("corrected", "reference", size=1)]
    check_path_is_exact("run", [10, 11, 12], corrected)
    with pytest.raises(UserError, match=r"corrected1@reference: .* 2 apart; remove it"):
        check_path_is_exact("run", [10, 12], corrected)
