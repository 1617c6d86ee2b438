"""A small trainer like that of a user: a loop over torch's AdamW that writes checkpoints.

It writes the moments with the function of `docs/run.md`.
"""

import json
import re
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import LlamaConfig, LlamaForCausalLM

from trainorder.training.optimizer import State

DOCS = Path(__file__).parents[1] / "docs/run.md"
DOMAINS, UNIT_DOMAINS = ["sea", "hill"], ["sea", "hill", "mixed", "sea", "hill", "sea"]
VOCABULARY, LENGTH, HELDOUT, UNIT_SIZE = 19, 8, 3, 2
UNITS = len(UNIT_DOMAINS)
SCHEDULES = {  # of a `Trainer`, with their further options
    "cosine": {},
    "linear": {},
    "warmup_stable_decay": {"lr_scheduler_kwargs": {"num_decay_steps": 2}},
}


def documented(name):
    """Return the object `name` that the code blocks of `docs/run.md` define."""
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
    namespace = {}
    for block in blocks:
        if re.search(r"^(def|class) ", block, re.M):
            exec(block, namespace)
    return namespace[name]


def token_arrays(warmup=0, seed=5):
    """Return random tokens by tensor name, with `warmup` warm-up sequences."""
    rng = np.random.default_rng(seed)

    def random_tokens(*shape):
        # The distribution is skewed so that a model can learn it.
        return rng.integers(0, VOCABULARY, (*shape, LENGTH)) ** 2 // VOCABULARY

    arrays = {
        "units": random_tokens(UNITS, UNIT_SIZE),
        "heldout": random_tokens(len(DOMAINS), HELDOUT),
    }
    return {**arrays, "warmup": random_tokens(warmup)} if warmup else arrays


def write_tokens(path, arrays, **metadata):
    """Write a token file; `metadata` replaces entries, and None removes one."""
    entries = {"domains": DOMAINS, "unit_domains": UNIT_DOMAINS, "vocabulary": VOCABULARY}
    entries = {name: json.dumps(value) for name, value in entries.items()} | metadata
    text = {name: value for name, value in entries.items() if value is not None}
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path, text)


def llama(seed=3, **changes):
    """Return a small decoder with tied embeddings, as a study creates it for these sizes."""
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": VOCABULARY, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": LENGTH,
        "tie_word_embeddings": True, "bos_token_id": None, "eos_token_id": None,
    }  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**{**sizes, **changes}))


def train(module, batches, rate, folder, first=0, every=1, loss_scale=1.0, clip=torch.inf, **adamw):
    """Train on `batches` (n, L) and return all states from step `first` to the end.

    A checkpoint is written at every `every`-th step from `first` on.
    """
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    options = {"betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.0, **adamw}
    optimizer = torch.optim.AdamW(trained, lr=1.0, **options)
    save_optimizer, states = documented("save_optimizer"), []
    for step in range(len(batches) + 1):
        if step >= first:
            states.append(state_of(trained, optimizer, step))
            if (step - first) % every == 0:
                target = Path(folder) / f"checkpoint-{step}"
                module.save_pretrained(target)
                save_optimizer(target, module, optimizer)
        if step < len(batches):
            tokens = torch.as_tensor(batches[step])
            logits = module(tokens).logits[:, :-1]
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
            optimizer.zero_grad()
            (loss * loss_scale).backward()
            torch.nn.utils.clip_grad_norm_(trained, clip)
            for group in optimizer.param_groups:
                group["lr"] = rate(step)
            optimizer.step()
    return states


def state_of(trained, optimizer, step):
    """Return parameters and moments as vectors; moments are zero before the first update."""
    entries = [optimizer.state.get(parameter, {}) for parameter in trained]

    def joined(name):
        pairs = zip(trained, entries, strict=True)
        parts = [entry.get(name, torch.zeros_like(parameter)) for parameter, entry in pairs]
        return torch.cat([part.detach().flatten() for part in parts])

    theta = torch.cat([parameter.detach().flatten() for parameter in trained])
    return State(theta, joined("exp_avg"), joined("exp_avg_sq"), step)
