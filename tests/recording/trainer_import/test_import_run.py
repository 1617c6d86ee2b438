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

from trainorder.errors import UserError
from trainorder.recording.__main__ import report
from trainorder.recording.record.layout import recorded_states, recorded_steps
from trainorder.recording.record.settings import read_settings
from trainorder.recording.record.steps import read_step
from trainorder.recording.trainer_import.import_run import Given, import_trainer


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


def with_dropout(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "attention_dropout": 0.1}))


def without_configuration(folder):
    (folder / "config.json").unlink()


def junk(kind):
    def change(folder):
        path = folder / "optimizer.pt"
        whole = path.read_bytes()
        random = np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes()
        contents = {"empty": b"", "text": b"not a pickle\n", "zeros": bytes(5000), "half": None}
        path.write_bytes(contents.get(kind, random) or whole[: len(whole) // 2])

    return change


JUNK = {kind: junk(kind) for kind in ("text", "zeros", "half", "random")}
CONTENTS = {
    "a list": [1, 2],
    "no groups": {"state": {}, "param_groups": []},
    "groups of text": {"state": {}, "param_groups": ["lr"]},
    "no betas": {"state": {}, "param_groups": [{"params": [0], "lr": 0.1, "weight_decay": 0.0}]},
    "a state of lists": {"state": {0: [1]}, "param_groups": []},
    "steps of text": {"state": {0: {"step": "two"}}, "param_groups": []},
}


@pytest.mark.parametrize("case", [*JUNK, *CONTENTS])
def test_a_damaged_optimizer_raises_one_line(checkpoint_2, tmp_path, case):
    folder = checkpoint_2 / "checkpoint-2"
    if case in JUNK:
        JUNK[case](folder)
    else:
        torch.save(CONTENTS[case], folder / "optimizer.pt")
    with pytest.raises(UserError, match=r"optimizer\.pt: ") as error:
        import_trainer(checkpoint_2, tmp_path / "record", Given())
    assert "\n" not in str(error.value)
    assert not (tmp_path / "record").exists()


def with_two_rates(content):
    content["param_groups"][1]["initial_lr"] = 1e-3


def with_two_decays(content):
    content["param_groups"][1]["weight_decay"] = 1e-3


def with_two_betas(content):
    content["param_groups"][1]["betas"] = (0.5, 0.9)


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
    "sgd": (edited_optimizer(of_sgd), "is not AdamW of torch, its state has momentum_buffer"),
    "dropout": (with_dropout, r"config.json: dropout: `model.layers.0.* is 0.1, but a study can"),
    "no configuration": (without_configuration, r"checkpoint-2/config.json: missing, so the model"),
    "two rates": (edited_optimizer(with_two_rates), "learning rates 0.01, 0.001; a study needs"),
    "two decays": (edited_optimizer(with_two_decays), "weight decays 0.001, 0.1; a study takes"),
    "two betas": (edited_optimizer(with_two_betas), "parameter groups have different `betas`"),
    "fewer updates": (edited_optimizer(of_fewer_updates), "after 2 updates; only runs with AdamW"),
}


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


def test_steps_after_the_last_checkpoint_are_told_to_be_unchecked(run):
    shutil.rmtree(run / "run/checkpoint-6")
    given = Given(tokens=run / "tokens.npy")
    imported = import_trainer(run / "run", run / "record", given)
    assert (imported.states, imported.steps) == ([2, 4], range(2, 6))
    assert imported.unchecked == range(4, 6)
    assert "unchecked: tokens and rates of the steps from 4 on" in report(imported, "record")


def without_state(folder):
    (folder / "optimizer.pt").unlink()


def with_half_of_the_parameters(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


PARTS_OF_A_CHECKPOINT = {
    "no files": lambda folder: shutil.rmtree(folder) or folder.mkdir(),
    "no optimizer": without_state,
    "half of the optimizer": junk("half"),
    "half of the parameters": with_half_of_the_parameters,
    "no configuration": without_configuration,
}


@pytest.mark.parametrize("case", PARTS_OF_A_CHECKPOINT)
def test_a_last_checkpoint_that_a_kill_left_half_written_is_skipped_and_named(
    trained_run, tmp_path, case
):
    PARTS_OF_A_CHECKPOINT[case](trained_run / "checkpoint-6")
    imported = import_trainer(trained_run, tmp_path / "record", Given())
    assert imported.states == recorded_states(tmp_path / "record") == [2, 4]
    assert "skipped: the last checkpoint: " in report(imported, "record")
    assert "checkpoint-6" in imported.skipped
    (trained_run / "checkpoint-4/optimizer.pt").unlink()
    with pytest.raises(UserError, match=r"checkpoint-4/optimizer.pt: missing"):
        import_trainer(trained_run, tmp_path / "other", Given())


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_another_run_with_equal_settings_does_not_enter_a_record(trained_run, tmp_path):
    import_trainer(trained_run, tmp_path / "record", Given())
    before = content(tmp_path / "record")
    import_trainer(trained_run, tmp_path / "record", Given())
    assert content(tmp_path / "record") == before, "the same run cannot be imported again"
    path = trained_run / "checkpoint-4/model.safetensors"
    tensors = load_file(path)
    tensors["model.norm.weight"] += 1
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(UserError, match=r"checkpoint-4/model.safetensors: .* of another run"):
        import_trainer(trained_run, tmp_path / "record", Given())
    for step in (2, 4):
        shutil.rmtree(trained_run / f"checkpoint-{step}")
    shutil.rmtree(tmp_path / "record/checkpoint-6")
    with pytest.raises(UserError, match=r"has none of the checkpoints of .* another run"):
        import_trainer(trained_run, tmp_path / "record", Given())
    assert content(tmp_path / "record").items() <= before.items()
