"""The language model as a function of one vector that contains all trained parameters."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from trainorder.config.sections.model import ModelConfig
from trainorder.errors import UserError
from trainorder.numerics import large_tensors
from trainorder.numerics.differentiable_split import split

_IGNORED = -100  # label of positions that do not count in the cross-entropy


class LanguageModel:
    """A causal language model of transformers: a new LLaMA-style decoder or a pretrained model.

    The trained parameters form one vector theta of shape (P,), in the sequence of the module's
    `named_parameters`. Attention is eager, because the fused kernels have no second derivatives.

    The module is on `device`. Vectors such as theta are on the host, where everything except losses
    and their derivatives is computed. A loss copies theta to the device, and autograd copies the
    derivatives back.

    Attributes:
        module: the torch module.
        trained: the parameters of `module` that are trained.
        names: their names.
        size: P, the number of trained parameters.
        dtype: the dtype of the module.
        device: the device of the module and of its input tokens.
        commit: the commit of a pretrained model on the hub; None if it is not known.

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
        """Create or load the model.

        Args:
            config: the section `model`.
            vocabulary: number of tokens of the corpus.
            length: tokens per sequence.
            seed: seed of all new weights, drawn on torch's default device.
            dtype: the dtype of the module.
            device: the device to move the module to; None leaves it on the default device.

        Raises:
            UserError: the pretrained model cannot be loaded, has fewer than `vocabulary` tokens, or
                does not accept `length` tokens.

        """
        torch.manual_seed(seed)
        self.commit: str | None = None
        if config.source is None:
            module: torch.nn.Module = _decoder(config, vocabulary, length)
        else:
            from trainorder.training import pretrained

            module, self.commit = pretrained.load(config.source, config, seed)
            _check_fits(module, config.source, vocabulary, length)
        self.module = module.to(device, dtype)
        named = [(n, p) for n, p in self.module.named_parameters() if p.requires_grad]
        self.trained = [parameter for _, parameter in named]
        self.names = [name for name, _ in named]
        self._shapes = [parameter.shape for parameter in self.trained]
        self._sizes = [parameter.numel() for parameter in self.trained]
        self.size = sum(self._sizes)
        self.dtype = dtype
        self.device = self.trained[0].device
        if self.device.type == "cpu":  # views of one large tensor, whose pages can be released
            for parameter, part in zip(self.trained, self.split(self.parameters()), strict=True):
                parameter.data = part

    def parameters(self) -> Tensor:
        """Return a copy of the trained parameters as one vector (P,) on the host."""
        result = large_tensors.empty(self.size, dtype=self.dtype)
        for parameter, part in zip(self.trained, self.split(result), strict=True):
            part.copy_(parameter.detach())
            large_tensors.release_pages()
        return result

    def gradient(self) -> Tensor:
        """Return a copy of the gradients that the parameters hold, as a vector (P,) on the host."""
        result = large_tensors.zeros(self.size, dtype=self.dtype)
        for parameter, part in zip(self.trained, self.split(result), strict=True):
            if parameter.grad is not None:
                part.copy_(parameter.grad)
                large_tensors.release_pages()
        return result

    def load(self, theta: Tensor) -> None:
        """Copy `theta` (P,), on any device, into the trained parameters."""
        with torch.no_grad():
            for parameter, part in zip(self.trained, self.split(theta), strict=True):
                parameter.copy_(part)

    def split(self, theta: Tensor) -> list[Tensor]:
        """Return `theta` (P,) as views in the shapes of the trained parameters."""
        return self._shaped(theta.split(self._sizes))

    def _shaped(self, parts: Sequence[Tensor]) -> list[Tensor]:
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def loss(self, theta: Tensor, tokens: Tensor) -> Tensor:
        """Return the mean next-token loss at `theta` as a differentiable scalar.

        Args:
            theta: (P,) on any device.
            tokens: (n, L) int64 on the device of the model; context tokens are negative, as
                `Corpus` describes.

        Returns:
            The loss in nats per token, on the device of the model.

        """
        return next_token_loss(self._logits(theta, tokens), tokens)

    def sequence_losses(self, theta: Tensor, tokens: Tensor) -> Tensor:
        """Return the loss (n,) of each sequence, the mean over its learnt tokens; as `loss`."""
        return sequence_losses(self._logits(theta, tokens), tokens)

    def _logits(self, theta: Tensor, tokens: Tensor) -> Tensor:
        """Return the logits (n, L, V) at `theta` (P,)."""
        if self.device.type == "cpu":
            parts = split(theta, self._sizes)
        else:
            parts = theta.to(self.device).split(self._sizes)
        weights = dict(zip(self.names, self._shaped(parts), strict=True))
        logits: Tensor = functional_call(self.module, weights, (_token_numbers(tokens),)).logits
        return logits

    def module_loss(self, tokens: Tensor) -> Tensor:
        """Return the loss of `tokens` (n, L) int64 at the current parameters of the module."""
        return next_token_loss(self.module(_token_numbers(tokens)).logits, tokens)


def _decoder(config: ModelConfig, vocabulary: int, length: int) -> torch.nn.Module:
    """Return a new LLaMA-style decoder with tied embeddings."""
    # Imported here because it takes seconds and jobs without a model do not need it.
    from transformers import LlamaConfig, LlamaForCausalLM

    decoder: torch.nn.Module = LlamaForCausalLM(
        LlamaConfig(
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
    return decoder


def _check_fits(module: torch.nn.Module, source: str, vocabulary: int, length: int) -> None:
    """Check that a pretrained model has all tokens and accepts sequences of `length` tokens."""
    config: Any = module.config
    model_vocabulary = config.vocab_size
    if vocabulary > model_vocabulary:
        raise UserError(
            f"model.source: {source}: its vocabulary has {model_vocabulary} tokens, but the corpus "
            f"needs {vocabulary}; set corpus.tokenizer to the tokenizer of the model, or correct "
            "`vocabulary` in the token file"
        )
    longest = getattr(config, "max_position_embeddings", None)
    if longest is not None and length > longest:
        raise UserError(
            f"model.source: {source}: accepts at most {longest} tokens, but a sequence has "
            f"{length}; lower corpus.sequence_length"
        )


def _token_numbers(tokens: Tensor) -> Tensor:
    """Return the token numbers (n, L) that the model reads: a context token t is stored as ~t."""
    return torch.maximum(tokens, ~tokens)


def _has_context(tokens: Tensor) -> bool:
    return bool((tokens < 0).any())


def next_token_loss(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the mean cross-entropy in nats per token of predicting each next token.

    With context tokens (negative, see `Corpus`), which are not learnt, the loss is the mean over
    sequences of each sequence's mean over its learnt tokens. The loss of a batch is then the
    mean of the losses of its sequences, whatever the lengths of their responses.

    Args:
        logits: (n, L, V).
        tokens: (n, L) int64.

    """
    labels = tokens[:, 1:]
    if not _has_context(labels):
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels.flatten())
    return sequence_losses(logits, tokens).mean()


def sequence_losses(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the loss (n,) of each sequence: the mean cross-entropy of its learnt tokens.

    Args:
        logits: (n, L, V).
        tokens: (n, L) int64; context tokens are negative.

    """
    predictions, labels = logits[:, :-1].flatten(0, 1), tokens[:, 1:]
    learnt = labels >= 0
    targets = labels.masked_fill(~learnt, _IGNORED).flatten()
    losses = F.cross_entropy(predictions, targets, ignore_index=_IGNORED, reduction="none")
    return losses.view_as(labels).sum(1) / learnt.sum(1)
