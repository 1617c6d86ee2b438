"""Runs of a Trainer to import."""

import shutil

import numpy as np
import pytest
import torch

from recorded_runs import gpt2
from trainers import LENGTH
from trainorder.recording import RecordingCallback

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


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    return {"folder": tmp_path_factory.mktemp("trained")}


@pytest.fixture
def checkpoint_2(trained, make_trainer, tmp_path):
    """Return a copy of a run with one checkpoint; it is trained once."""
    source = trained["folder"] / "run"
    if not source.exists():
        make_trainer(source, max_steps=2).train()
    return shutil.copytree(source, tmp_path / "run")
