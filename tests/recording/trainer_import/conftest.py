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
    return tmp_path_factory.mktemp("trained") / "run"


@pytest.fixture
def trained_run(trained, make_trainer, tmp_path):
    """Return a copy of a run with three checkpoints; it is trained once."""
    if not trained.exists():
        make_trainer(trained).train()
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def checkpoint_2(trained_run):
    """Return a run that has only the first of its checkpoints."""
    for step in (4, 6):
        shutil.rmtree(trained_run / f"checkpoint-{step}")
    return trained_run
