"""The language model as a function of one flat parameter vector."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call
from transformers import LlamaConfig, LlamaForCausalLM

from trainorder.config import ModelConfig


class LanguageModel:
    """A LLaMA-style decoder (transformers) with tied embeddings and eager attention.

    The parameters are seen as one vector theta of shape (P,), in the order of the module's
    `named_parameters`. Eager attention because second derivatives need it: the fused kernels have
    none.
    """

    def __init__(
        self, config: ModelConfig, vocabulary: int, length: int, seed: int, dtype: torch.dtype
    ) -> None:
        """Initialise the weights from `seed`, in `dtype`, for sequences of `length` tokens."""
        torch.manual_seed(seed)
        module: torch.nn.Module = LlamaForCausalLM(
            LlamaConfig(  # type: ignore[call-arg]  # takes any attribute
                vocab_size=vocabulary,
                hidden_size=config.hidden_size,
                intermediate_size=config.intermediate_size,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                num_key_value_heads=config.heads,
                max_position_embeddings=length,
                tie_word_embeddings=True,
                attn_implementation="eager",
                use_cache=False,
                bos_token_id=None,
                eos_token_id=None,
                pad_token_id=None,
            )
        )
        self.module = module.to(dtype)
        named = list(self.module.named_parameters())
        self._names = [name for name, _ in named]
        self._shapes = [parameter.shape for _, parameter in named]
        self._sizes = [parameter.numel() for _, parameter in named]
        self.size = sum(self._sizes)
        self.dtype = dtype

    def parameters(self) -> Tensor:
        """Return a copy of the module's parameters as one vector (P,)."""
        return flatten(list(self.module.parameters()))

    def load(self, theta: Tensor) -> None:
        """Copy `theta` (P,) into the module's parameters."""
        with torch.no_grad():
            for parameter, part in zip(self.module.parameters(), self.split(theta), strict=True):
                parameter.copy_(part)

    def split(self, theta: Tensor) -> list[Tensor]:
        """Return `theta` (P,) as views in the shapes of the module's parameters."""
        parts = theta.split(self._sizes)
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def loss(self, theta: Tensor, tokens: Tensor) -> Tensor:
        """Return the mean next-token loss at `theta` in nats per token, a differentiable scalar.

        `theta` is (P,), `tokens` (n, L) int64.
        """
        weights = dict(zip(self._names, self.split(theta), strict=True))
        return next_token_loss(functional_call(self.module, weights, (tokens,)).logits, tokens)

    def module_loss(self, tokens: Tensor) -> Tensor:
        """Return the same loss at the module's own parameters."""
        return next_token_loss(self.module(tokens).logits, tokens)


def next_token_loss(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the mean cross-entropy of `logits` (n, L, V) against the next of `tokens` (n, L)."""
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """Return a detached copy of the tensors as one vector."""
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
