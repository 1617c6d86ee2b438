"""An imported Trainer run equals a recorded one, and what cannot be imported raises one line."""

import json
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from recorded_runs import gpt2
from trainers import LENGTH
from trainorder.errors import UserError
from trainorder.recording import RecordingCallback
from trainorder.recording.__main__ import report
from trainorder.recording.import_trainer import Given, import_trainer
from trainorder.recording.record_files import recorded_steps
from trainorder.recording.settings_file import read_settings
from trainorder.recording.step_file import read_step

STEPS, PARTS, SIZE = 6, 2, 3  # of `make_trainer`


@pytest.fixture(params=["llama", "gpt2"])
def run(request, tmp_path, make_trainer):
    """Return the folders of a run of a Trainer and of its record, and the tokens of its steps."""
    callback = RecordingCallback(tmp_path / "recorded", every=2)
    model = gpt2() if request.param == "gpt2" else None
    trainer = make_trainer(tmp_path / "run", callback, model=model, lr_scheduler_type="cosine",
                           logging_strategy="steps", logging_steps=4)  # fmt: skip
    trainer.train()
    batches = [batch["input_ids"] for batch in trainer.get_train_dataloader()]
    tokens = torch.stack(batches).view(STEPS, PARTS, SIZE, LENGTH).numpy()
    np.save(tmp_path / "tokens.npy", tokens[2:])
    return tmp_path


def test_an_imported_run_has_the_states_steps_and_rates_of_a_recorded_one(run):
    given = Given(tokens=run / "tokens.npy", heldout=None)
    imported = import_trainer(run / "run", run / "record", given)
    assert imported.states == [2, 4, 6]
    assert imported.steps == range(2, 6)
    assert not imported.unchecked
    assert len(imported.missing) == 1
    assert "--heldout" in imported.missing[0]
    for step in imported.states:
        for name in ("model", "optimizer"):
            file = f"checkpoint-{step}/{name}.safetensors"
            one, other = load_file(run / "record" / file), load_file(run / "recorded" / file)
            assert one.keys() == other.keys()
            for key, tensor in one.items():
                assert torch.equal(tensor, other[key]), f"{file}: {key} is another"
    for number in imported.steps:
        one, other = (read_step(run / name, number) for name in ("record", "recorded"))
        assert np.array_equal(one.batches, other.batches), (
            "the data loader of a Trainer does not give the order that it trained in"
        )
        assert one.rates[0] == pytest.approx(other.rates[0], rel=1e-9)
    one, other = (read_settings(run / name) for name in ("record", "recorded"))
    assert (one.weight_decays, one.groups) == (other.weight_decays, other.groups)
    assert one.gradient_clip is None, "a clip that no file tells was made up"


def test_what_is_missing_is_told_and_can_be_added(run):
    command = [sys.executable, "-m", "trainorder.recording", "import", run / "run", run / "record"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "missing: the data order (--tokens FILE.npy)" in done.stdout
    assert "missing: held-out sequences" in done.stdout
    np.save(run / "heldout.npy", np.load(run / "tokens.npy")[0, 0])
    given = Given(tokens=run / "tokens.npy", heldout=run / "heldout.npy")
    assert import_trainer(run / "run", run / "record", given).missing == []
    assert recorded_steps(run / "record") == range(2, 6)


def test_a_start_selects_the_later_checkpoints(run):
    np.save(run / "tokens.npy", np.load(run / "tokens.npy")[2:])
    given = Given(tokens=run / "tokens.npy")
    imported = import_trainer(run / "run", run / "record", given, start=4)
    assert (imported.states, imported.steps) == ([4, 6], range(4, 6))
    with pytest.raises(UserError, match=r"checkpoint-3: missing; start at one of 2, 4, 6"):
        import_trainer(run / "run", run / "record", given, start=3)


def test_sharded_parameters_are_joined(run):
    for step in (2, 4, 6):
        folder = run / f"run/checkpoint-{step}"
        tensors = load_file(folder / "model.safetensors")
        names = sorted(tensors)
        parts = {"model-1.safetensors": names[:2], "model-2.safetensors": names[2:]}
        for file, own in parts.items():
            save_file({name: tensors[name] for name in own}, folder / file)
        weight_map = {name: file for file, own in parts.items() for name in own}
        index = {"metadata": {}, "weight_map": weight_map}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        (folder / "model.safetensors").unlink()
    import_trainer(run / "run", run / "record", Given())
    one, other = (
        load_file(run / name / "checkpoint-4/model.safetensors") for name in ("record", "recorded")
    )
    for key, tensor in other.items():
        assert torch.equal(tensor, one[key])


class Code:
    """An object that a pickle would run."""

    def __reduce__(self):
        return (shutil.rmtree, ("/nowhere",))


def with_code(folder):
    (folder / "optimizer.pt").write_bytes(pickle.dumps({"state": Code(), "param_groups": []}))


def with_an_object(folder):
    content = torch.load(folder / "optimizer.pt", weights_only=True)
    torch.save({**content, "extra": Code}, folder / "optimizer.pt")


def without_optimizer(folder):
    (folder / "optimizer.pt").unlink()


def with_pickled_parameters(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def with_adapters(folder):
    (folder / "adapter_config.json").write_text("{}")


def with_a_missing_part(folder):
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def with_parts_elsewhere(folder):
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "../../model-1.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def in_half_precision(folder):
    tensors = load_file(folder / "model.safetensors")
    save_file({n: t.bfloat16() for n, t in tensors.items()}, folder / "model.safetensors")


def edited_optimizer(edit):
    def change(folder):
        content = torch.load(folder / "optimizer.pt", weights_only=True)
        edit(content)
        torch.save(content, folder / "optimizer.pt")

    return change


def with_a_frozen_part(content):
    content["param_groups"][0]["params"].pop()


def of_sgd(content):
    content["state"] = {number: {"momentum_buffer": None} for number in content["state"]}


def of_fewer_updates(content):
    for state in content["state"].values():
        state["step"] -= 1


INVALID = {
    "code": (with_code, r"optimizer.pt: only tensors and plain values are read"),
    "an object": (with_an_object, r"optimizer.pt: only tensors and plain values are read"),
    "no optimizer": (without_optimizer, r"optimizer.pt: missing, .* \(save_only_model"),
    "pickled parameters": (with_pickled_parameters, "pytorch_model.bin is a pickle; convert"),
    "adapters": (with_adapters, "adapter checkpoints are not imported; record such a run"),
    "a missing part": (with_a_missing_part, "model-1.safetensors: no such file"),
    "parts elsewhere": (with_parts_elsewhere, "no list of parts"),
    "half precision": (in_half_precision, "has dtype BF16, expected F32"),
    "a frozen part": (edited_optimizer(with_a_frozen_part), "frozen parameters"),
    "sgd": (edited_optimizer(of_sgd), "has no `exp_avg` of AdamW"),
    "fewer updates": (edited_optimizer(of_fewer_updates), "after 2 updates; only runs with AdamW"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return {"folder": tmp_path_factory.mktemp("trained")}


@pytest.fixture
def checkpoint_2(trained, make_trainer, tmp_path):
    """Return a copy of a run with one checkpoint; it is trained once."""
    source = trained["folder"] / "run"
    if not source.exists():
        make_trainer(source, max_steps=2).train()
    return shutil.copytree(source, tmp_path / "run")


@pytest.mark.parametrize("case", INVALID)
def test_what_is_no_plain_checkpoint_of_adamw_raises_one_line(checkpoint_2, tmp_path, case):
    edit, message = INVALID[case]
    edit(checkpoint_2 / "checkpoint-2")
    with pytest.raises(UserError, match=message) as error:
        import_trainer(checkpoint_2, tmp_path / "record", Given())
    assert "\n" not in str(error.value)
    assert not (tmp_path / "record/record.json").exists()


def test_folders_without_checkpoints_raise(tmp_path):
    with pytest.raises(UserError, match=r"contains no folder checkpoint-<step>"):
        import_trainer(tmp_path, tmp_path / "record", Given())
    with pytest.raises(UserError, match=r"nowhere: no such folder"):
        import_trainer(tmp_path / "nowhere", tmp_path / "record", Given())


WRONG_ARRAYS = {
    "tokens": (np.zeros((4, 8), int), "expected integers of shape"),
    "rates": (np.ones(3), r"expected the learning rate of each of the 1 steps"),
}


@pytest.mark.parametrize("name", WRONG_ARRAYS)
def test_arrays_of_another_shape_raise(checkpoint_2, tmp_path, name):
    array, message = WRONG_ARRAYS[name]
    files = {"tokens": np.zeros((1, 2, 8), int), name: array}
    for key, content in files.items():
        np.save(tmp_path / f"{key}.npy", content)
    given = Given(**{key: tmp_path / f"{key}.npy" for key in files})
    with pytest.raises(UserError, match=message):
        import_trainer(checkpoint_2, tmp_path / "record", given)


def test_a_pickled_array_is_not_read(checkpoint_2, tmp_path):
    np.save(tmp_path / "tokens.npy", np.array([Code()]), allow_pickle=True)
    with pytest.raises(UserError, match=r"not readable as a .npy array of numbers"):
        import_trainer(checkpoint_2, tmp_path / "record", Given(tokens=tmp_path / "tokens.npy"))


def test_steps_after_the_last_checkpoint_are_told_to_be_unchecked(run):
    shutil.rmtree(run / "run/checkpoint-6")
    given = Given(tokens=run / "tokens.npy")
    imported = import_trainer(run / "run", run / "record", given)
    assert (imported.states, imported.steps) == ([2, 4], range(2, 6))
    assert imported.unchecked == range(4, 6)
    assert "unchecked: tokens and rates of the steps from 4 on" in report(imported, "record")


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
    "of uneven weight": (uneven, r"row 1 have 3 to 7 targets, which the Trainer weights by token"),
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
