"""A Trainer of transformers on a small model, with gradient accumulation."""

import numpy as np
import pytest
import torch
from transformers import Trainer, TrainingArguments

from trainers import LENGTH, VOCABULARY, llama

STEPS, PARTS, SIZE = 6, 2, 3  # updates, micro-batches of each, sequences of each


@pytest.fixture(scope="session")
def rows():
    """Return the rows that a Trainer consumes in one epoch."""
    tokens = np.random.default_rng(4).integers(0, VOCABULARY, (STEPS * PARTS * SIZE, LENGTH))
    return [{"input_ids": row, "labels": row} for row in torch.from_numpy(tokens)]


@pytest.fixture
def make_trainer(rows):
    """Return a function that returns a Trainer, which saves a checkpoint every two steps."""

    def make(folder, *callbacks, model=None, **changes):
        arguments = {
            "max_steps": STEPS, "per_device_train_batch_size": SIZE, "save_steps": 2,
            "gradient_accumulation_steps": PARTS, "learning_rate": 1e-2, "weight_decay": 0.1,
            "warmup_steps": 2, "report_to": [], "use_cpu": True, "disable_tqdm": True,
            "logging_strategy": "no", **changes,
        }  # fmt: skip
        return Trainer(
            model or llama(), TrainingArguments(str(folder), **arguments), train_dataset=rows,
            eval_dataset=rows[:2], callbacks=list(callbacks),
        )  # fmt: skip

    return make
