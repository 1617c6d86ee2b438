"""A training loop like that of a user, which a `Recorder` records."""

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import GPT2Config, GPT2LMHeadModel

from trainers import LENGTH, VOCABULARY, llama
from trainorder.config.sections.model import ModelConfig
from trainorder.recording import Recorder
from trainorder.recording.record.layout import recorded_states
from trainorder.training.model import LanguageModel

STEPS, MICRO, SIZE = 7, 2, 3  # updates, micro-batches of each, sequences of each


def tokens(steps=STEPS):
    """Return the micro-batches (steps, MICRO, SIZE, LENGTH) of a run."""
    shape = (steps, MICRO, SIZE, LENGTH)
    return torch.from_numpy(np.random.default_rng(4).integers(0, VOCABULARY, shape))


class Run:
    """A training loop as a user has it, with a schedule and gradient accumulation."""

    def __init__(self, seed=3, decays=(0.1, 0.0), **options):
        self.model = llama(seed)
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim == 1]
        groups = [
            {"params": parameters, "weight_decay": decay}
            for parameters, decay in zip((decayed, others), decays, strict=True)
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-2, **options)
        self.schedule = LambdaLR(self.optimizer, lambda step: 1 / (1 + step))
        self.states = {}

    def restore(self, saved):
        model, optimizer, schedule = saved
        self.model.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)
        self.schedule.load_state_dict(schedule)

    def save(self):
        clone = torch.utils._pytree.tree_map
        parts = (self.model, self.optimizer, self.schedule)
        return clone(
            lambda x: x.clone() if torch.is_tensor(x) else x, [p.state_dict() for p in parts]
        )

    def train(self, record, first=0, last=STEPS):
        for step in range(first, last):
            self.states[step] = self.vectors()
            for part in tokens()[step]:
                record.batch(part)
                (self.model(input_ids=part, labels=part).loss / MICRO).backward()
            self.optimizer.step()
            self.schedule.step()
            self.optimizer.zero_grad()
            self.states[step + 1] = self.vectors()

    def vectors(self):
        """Return the parameters as one vector."""
        return torch.cat([p.detach().flatten() for p in self.model.parameters()]).clone()

    def recorder(self, folder, **options):
        return Recorder(folder, self.model, self.optimizer, **{"every": 3, **options})


def model_of(folder):
    """Return the model as a study opens it from a record."""
    sizes = {"hidden_size": 2, "intermediate_size": 1, "layers": 1, "heads": 1}
    source = folder / f"checkpoint-{recorded_states(folder)[0]}"
    config = ModelConfig(**sizes, source=str(source))
    return LanguageModel(config, VOCABULARY, LENGTH, 0, torch.float32)


def gpt2():
    """Return a model whose norms and biases have other names than those of llama."""
    torch.manual_seed(3)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY, n_positions=LENGTH, n_embd=8, n_layer=1, n_head=2,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
        )
    )  # fmt: skip
