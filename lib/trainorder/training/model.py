"""The language model as a function of one flat vector of the parameters that are trained."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from trainorder.config.sections import ModelConfig
from trainorder.errors import UserError
from trainorder.numerics import large_tensors
from trainorder.numerics.differentiable_split import split

_IGNORED = -100  # a label that cross-entropy leaves out


class LanguageModel:
    """A causal language model of transformers: a new LLaMA-style decoder, or one of the user's.

    The parameters that are trained are seen as one vector theta of shape (P,), in the order of the
    module's `named_parameters`. Eager attention because second derivatives need it: the fused
    kernels have none.

    The module lives on a device; vectors live on the host, where all that is not a loss or its
    derivative is computed. A loss moves theta, and autograd moves its derivatives back.

    Attributes:
        module: the model.
        trained: the parameters of `module` that are trained.
        size: P.
        device: of the module and of the tokens that it takes.

    """

    def __init__(
        self,
        config: ModelConfig,
        vocabulary: int,
        length: int,
        seed: int,
        dtype: torch.dtype,
        device: torch.device | None = None,
    ) -> None:
        """Initialise what is new from `seed`, in `dtype`, for sequences of `length` tokens.

        They are drawn on torch's default device, and then moved to `device`, if one is given.

        Raises:
            UserError: the model of the user's cannot be loaded, or does not fit the text.

        """
        torch.manual_seed(seed)
        if config.source is None:
            module: torch.nn.Module = _decoder(config, vocabulary, length)
        else:
            from trainorder.training import pretrained

            module = pretrained.load(config.source, config, seed)
            _check_fits(module, config.source, vocabulary, length)
        self.module = module.to(device, dtype)
        named = [(n, p) for n, p in self.module.named_parameters() if p.requires_grad]
        self.trained = [parameter for _, parameter in named]
        self._names = [name for name, _ in named]
        self._shapes = [parameter.shape for parameter in self.trained]
        self._sizes = [parameter.numel() for parameter in self.trained]
        self.size = sum(self._sizes)
        self.dtype = dtype
        self.device = self.trained[0].device
        if self.device.type == "cpu":  # so that they are given back where only losses are computed
            for parameter, part in zip(self.trained, self.split(self.parameters()), strict=True):
                parameter.data = part

    def parameters(self) -> Tensor:
        """Return a copy of the trained parameters as one vector (P,) on the host."""
        result = large_tensors.empty(self.size, dtype=self.dtype)
        for parameter, part in zip(self.trained, self.split(result), strict=True):
            part.copy_(parameter.detach())
            large_tensors.release_pages()
        return result

    def load(self, theta: Tensor) -> None:
        """Copy `theta` (P,) into the trained parameters, wherever either is."""
        with torch.no_grad():
            for parameter, part in zip(self.trained, self.split(theta), strict=True):
                parameter.copy_(part)

    def split(self, theta: Tensor) -> list[Tensor]:
        """Return `theta` (P,) as views in the shapes of the trained parameters."""
        return self._shaped(theta.split(self._sizes))

    def _shaped(self, parts: Sequence[Tensor]) -> list[Tensor]:
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def loss(self, theta: Tensor, tokens: Tensor) -> Tensor:
        """Return the mean next-token loss at `theta` in nats per token, a differentiable scalar.

        `theta` is (P,) on any device, `tokens` (n, L) int64 on the model's, as the loss is; given
        ones are marked as `Corpus` says.
        """
        if self.device.type == "cpu":
            parts = split(theta, self._sizes)
        else:
            parts = theta.to(self.device).split(self._sizes)
        weights = dict(zip(self._names, self._shaped(parts), strict=True))
        found = functional_call(self.module, weights, (_unmarked(tokens),))
        return next_token_loss(found.logits, tokens)

    def module_loss(self, tokens: Tensor) -> Tensor:
        """Return the same loss at the module's own parameters."""
        return next_token_loss(self.module(_unmarked(tokens)).logits, tokens)


def _decoder(config: ModelConfig, vocabulary: int, length: int) -> torch.nn.Module:
    """Return a new LLaMA-style decoder with tied embeddings."""
    # Imported here: it takes seconds, and jobs without a model do not need it.
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
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


def _check_fits(module: torch.nn.Module, source: str, vocabulary: int, length: int) -> None:
    """Check that a model of the user's has an embedding for each token, and is long enough."""
    config: Any = module.config
    known = config.vocab_size
    if vocabulary > known:
        raise UserError(
            f"model.source: {source}: knows {known} tokens, and the corpus has {vocabulary}; "
            "set corpus.tokenizer to the model's own, or mend `vocabulary` in a file of tokens"
        )
    longest = getattr(config, "max_position_embeddings", None)
    if longest is not None and length > longest:
        raise UserError(
            f"model.source: {source}: takes {longest} tokens at most; "
            f"lower corpus.sequence_length (now {length})"
        )


def _unmarked(tokens: Tensor) -> Tensor:
    """Return what the model reads: the tokens themselves, given ones (negative) among them."""
    return torch.maximum(tokens, ~tokens)


def _some_given(tokens: Tensor) -> bool:
    return bool((tokens < 0).any())


def next_token_loss(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the mean cross-entropy of `logits` (n, L, V) against the next of `tokens` (n, L).

    Where some tokens are given and not learnt (negative, see `Corpus`), it is the mean over
    sequences of each one's mean over what it learns: so the loss of a batch is the mean of those
    of its sequences, as the gradients of units are averaged, however long their responses are.
    """
    predictions, labels = logits[:, :-1].flatten(0, 1), tokens[:, 1:]
    if not _some_given(labels):
        return F.cross_entropy(predictions, labels.flatten())
    learnt = labels >= 0
    targets = labels.masked_fill(~learnt, _IGNORED).flatten()
    losses = F.cross_entropy(predictions, targets, ignore_index=_IGNORED, reduction="none")
    return (losses.view_as(labels).sum(1) / learnt.sum(1)).mean()
