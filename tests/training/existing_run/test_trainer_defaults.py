"""A run with the defaults of the Trainer of transformers is followed: loss, decay and clipping."""

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from problems import optimizer_config
from trainers import LENGTH, UNIT_DOMAINS, UNITS, VOCABULARY, documented, token_arrays
from trainorder.config.sections.model import ModelConfig
from trainorder.data.corpus import Corpus
from trainorder.errors import UserError
from trainorder.training.existing_run.loss_scale import detected_loss_scale
from trainorder.training.existing_run.window_states import window_states
from trainorder.training.meter import Meter
from trainorder.training.model import LanguageModel
from trainorder.training.problem import LanguageProblem
from trainorder.training.weight_decay import build_for

RATE, WARMUP, STEPS = 1e-2, 2, UNITS + 2
SETTINGS = {
    "learning_rate": RATE, "beta2": 0.999, "weight_decay": 0.1, "no_decay": "norms_and_biases",
    "schedule": "linear", "final_fraction": 0.0, "linear_warmup_steps": WARMUP, "horizon": STEPS,
    "gradient_clip": 1.0,
}  # fmt: skip
ORDER = np.arange(UNITS)[:, None]


class InOrder(torch.utils.data.IterableDataset):
    """The sequences of the units in turn."""

    def __iter__(self):
        for unit in token_arrays()["units"]:
            for row in torch.as_tensor(unit):
                yield {"input_ids": row, "labels": row}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder of a Trainer's run, and the norms of its gradients before clipping."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    shape = GPT2Config(
        vocab_size=VOCABULARY, n_positions=LENGTH, n_embd=8, n_layer=1, n_head=2, bos_token_id=0,
        eos_token_id=0, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    arguments = TrainingArguments(
        str(folder), max_steps=STEPS, save_strategy="steps", save_steps=1, learning_rate=RATE,
        warmup_steps=WARMUP, weight_decay=0.1, per_device_train_batch_size=2, logging_steps=1,
        report_to=[], use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    data = {"train_dataset": InOrder(), "callbacks": [documented("SaveOptimizer")()]}
    trainer = Trainer(GPT2LMHeadModel(shape), arguments, **data)
    trainer.train()
    return folder, [log["grad_norm"] for log in trainer.state.log_history if "grad_norm" in log]


def problem(folder, scale=1.0):
    arrays = token_arrays()
    corpus = Corpus(
        ["sea", "hill"], VOCABULARY, np.zeros((0, LENGTH)), arrays["units"], UNIT_DOMAINS,
        arrays["heldout"],
    )  # fmt: skip
    config = ModelConfig(source=str(folder / "checkpoint-1"))
    model = LanguageModel(config, VOCABULARY, LENGTH, 0, torch.float32)
    return LanguageProblem(model, corpus, Meter(), loss_scale=scale)


def walked(folder, steps, scale, **changes):
    one = problem(folder, scale)
    optimizer = build_for(one.model, optimizer_config(**{**SETTINGS, **changes}), STEPS)
    order = ORDER[steps[0] :]
    return list(window_states(folder, steps, order, one, optimizer, 1e-3))


@pytest.mark.parametrize("steps", [range(1, UNITS + 1), [1, 4, UNITS]], ids=["all", "sparse"])
def test_a_run_with_the_defaults_of_the_trainer_is_verified(run, steps):
    folder, norms = run
    assert max(norms) > 1 > min(norms), "clipping is never or always active"
    one, steps = problem(folder), list(steps)
    optimizer = build_for(one.model, optimizer_config(**SETTINGS), STEPS)
    scale = detected_loss_scale(folder, steps, ORDER[1:], one, optimizer, 1e-3)
    assert scale == (LENGTH - 1) / LENGTH
    walked(folder, steps, scale)


WRONG = {
    "the factor": {"scale": 1.0},
    "decay of norms": {"no_decay": None},
    "the floor of the rate": {"final_fraction": 0.1},
    "no clipping": {"gradient_clip": None},
}


@pytest.mark.parametrize("case", WRONG)
def test_each_setting_is_needed(run, case):
    changes = {"scale": (LENGTH - 1) / LENGTH, **WRONG[case]}
    with pytest.raises(UserError, match="misses it by"):
        walked(run[0], [1, 4, UNITS], **changes)
