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
from trainorder.recording.record.layout import recorded_steps
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
