"""Arrays that a user gives with an import are used as they are, or raise one line."""

import subprocess
import sys

import numpy as np
import pytest

from trainorder.errors import UserError
from trainorder.recording.record.heldout import heldout_path, read_heldout
from trainorder.recording.record.layout import recorded_steps
from trainorder.recording.record.steps import read_step
from trainorder.recording.trainer_import.import_run import Given, import_trainer

WRONG_ARRAYS = {
    "labels in place of tokens": (np.full((1, 2, 8), -100), "a token is -100, expected 0 or more"),
    "another vocabulary": (np.full((1, 2, 8), 19), "a token is 19, but the model has .* 0 to 18"),
    "tokens": (np.zeros((4, 8), int), "expected integers of shape"),
    "rates": (np.ones(3), r"expected the learning rate of each of the 1 steps"),
}


@pytest.mark.parametrize("name", WRONG_ARRAYS)
def test_arrays_that_the_run_cannot_have_had_raise(checkpoint_2, tmp_path, name):
    array, message = WRONG_ARRAYS[name]
    name = "rates" if name == "rates" else "tokens"
    files = {"tokens": np.zeros((1, 2, 8), int), name: array}
    for key, content in files.items():
        np.save(tmp_path / f"{key}.npy", content)
    given = Given(**{key: tmp_path / f"{key}.npy" for key in files})
    with pytest.raises(UserError, match=message):
        import_trainer(checkpoint_2, tmp_path / "record", given)


def test_a_pickled_array_is_not_read(checkpoint_2, tmp_path):
    np.save(tmp_path / "tokens.npy", np.array([None]), allow_pickle=True)
    with pytest.raises(UserError, match=r"not readable as a .npy array of numbers"):
        import_trainer(checkpoint_2, tmp_path / "record", Given(tokens=tmp_path / "tokens.npy"))


def masked(tokens, count):
    """Return labels in which the first `count` tokens of each sequence are no targets."""
    labels = tokens.copy()
    labels[..., :count] = -100
    return labels


def test_imported_labels_mark_the_tokens_that_are_no_targets(run):
    tokens = np.load(run / "tokens.npy")
    np.save(run / "labels.npy", masked(tokens, 3))
    given = Given(tokens=run / "tokens.npy", labels=run / "labels.npy")
    import_trainer(run / "run", run / "record", given)
    for row, number in enumerate(range(2, 6)):
        expected = np.where(masked(tokens, 3)[row] == -100, ~tokens[row], tokens[row])
        assert np.array_equal(read_step(run / "record", number).batches, expected), (
            "a token that the run did not learn is a target"
        )


def shifted(tokens):
    return np.roll(tokens, -1, axis=-1)


def uneven(tokens):
    labels = masked(tokens, 1)
    labels[1, 0, 0, 4:] = -100
    return labels


WRONG_LABELS = {
    "shifted": (shifted, r"labels.npy: a label is neither its token nor -100"),
    "of other steps": (lambda tokens: tokens[:1], r"labels.npy: has shape .* but the tokens"),
    "all masked": (lambda tokens: masked(tokens, 8), r"labels.npy: a sequence has no target"),
    "of uneven weight": (uneven, r"row 1: sequences have 3 to 7 targets, which the Trainer"),
}


@pytest.mark.parametrize("case", WRONG_LABELS)
def test_labels_that_a_study_cannot_follow_raise_before_steps_are_replaced(run, case):
    given = Given(tokens=run / "tokens.npy", labels=run / "labels.npy")
    import_trainer(run / "run", run / "record", Given(tokens=run / "tokens.npy"))
    edit, message = WRONG_LABELS[case]
    np.save(run / "labels.npy", edit(np.load(run / "tokens.npy")))
    with pytest.raises(UserError, match=message):
        import_trainer(run / "run", run / "record", given)
    assert recorded_steps(run / "record") == range(2, 6)


def test_labels_without_tokens_raise(run):
    with pytest.raises(UserError, match="labels without tokens"):
        import_trainer(run / "run", run / "record", Given(labels=run / "labels.npy"))


def test_imported_labels_of_heldout_sequences_mark_the_tokens_that_are_no_targets(run):
    tokens = np.load(run / "tokens.npy")[0, 0]
    labels = masked(tokens, 3)
    np.save(run / "heldout.npy", tokens)
    np.save(run / "labels.npy", labels)
    command = [sys.executable, "-m", "trainorder.recording", "import", run / "run", run / "record"]
    options = ["--heldout", run / "heldout.npy", "--heldout-labels", run / "labels.npy"]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [stored] = read_heldout(run / "record").values()
    assert np.array_equal(stored, np.where(labels == -100, ~tokens, tokens)), (
        "orders are judged by tokens that are no targets"
    )


def test_wrong_labels_of_heldout_sequences_raise_before_the_sequences_are_replaced(run):
    np.save(run / "heldout.npy", np.load(run / "tokens.npy")[0, 0])
    import_trainer(run / "run", run / "record", Given(heldout=run / "heldout.npy"))
    before = heldout_path(run / "record").read_bytes()
    np.save(run / "labels.npy", shifted(np.load(run / "heldout.npy")))
    for given, message in (
        (Given(heldout=run / "heldout.npy", heldout_labels=run / "labels.npy"), "neither its tok"),
        (Given(heldout_labels=run / "labels.npy"), "labels without sequences; give --heldout"),
    ):
        with pytest.raises(UserError, match=rf"labels.npy: .*{message}"):
            import_trainer(run / "run", run / "record", given)
    assert heldout_path(run / "record").read_bytes() == before
