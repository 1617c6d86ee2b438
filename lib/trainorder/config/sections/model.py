"""The model of a study."""

from typing import Annotated

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from trainorder.config.sections.patterns import check_patterns
from trainorder.config.types import CLOSED, Integer, NonEmpty, NonEmptyPath, Positive

PACKAGED_MODEL_FOLDER = "resources/models/smollm2-135m"  # a `model.source` that the study downloads


@dataclass(frozen=True, config=CLOSED)
class LoraConfig:
    """Low-rank adapters; only these are trained."""

    rank: Positive
    """Rank of the adapters."""
    alpha: Positive
    """Scale of the adapters, times the rank."""
    targets: Annotated[list[NonEmpty], Field(min_length=1)]
    """Names of the modules that get an adapter."""


@dataclass(frozen=True, config=CLOSED)
class ModelConfig:
    """The causal language model: one of yours, or a new LLaMA-style decoder."""

    source: NonEmptyPath | None = None
    """A local folder or a name on the hub (safetensors). A folder with only a config.json gives a
    new model of that shape. null: a new LLaMA-style decoder with tied embeddings."""
    revision: NonEmpty | None = None
    """With a source on the hub: its branch, tag or commit. null: the newest."""
    trainable: Annotated[list[NonEmpty], Field(min_length=1)] | None = None
    """With source: regular expressions of the names of the parameters to train. null: all."""
    lora: LoraConfig | None = None
    """With source: train only adapters, {rank: 8, alpha: 16, targets: [q_proj, v_proj]}; needs the
    package peft."""
    hidden_size: Annotated[Integer, Field(ge=2)] = 64
    """Width of a new model."""
    intermediate_size: Positive = 168
    """Width of the MLP of a new model."""
    layers: Positive = 2
    """Layers of a new model."""
    heads: Positive = 4
    """Attention heads of a new model."""

    @model_validator(mode="after")
    def _check(self) -> "ModelConfig":
        if self.source is None:
            for key in ("revision", "trainable", "lora"):
                if getattr(self, key) is not None:
                    raise ValueError(
                        f"{key}: a new model is trained entirely; set model.source, "
                        "or set this key to null"
                    )
        check_patterns("trainable", self.trainable or [])
        if self.trainable is not None and self.lora is not None:
            raise ValueError("trainable: with lora only adapters are trained; set one to null")
        if self.hidden_size % (2 * self.heads):
            raise ValueError(
                f"hidden_size: {self.hidden_size} is not a multiple of 2 x model.heads "
                f"({2 * self.heads}); change one of them"
            )
        return self

    def new_parameters(self, vocabulary: int) -> int:
        """Return how many parameters a new decoder has: tied embeddings, blocks and norms."""
        h = self.hidden_size
        block = 4 * h**2 + 3 * h * self.intermediate_size + 2 * h
        return vocabulary * h + self.layers * block + h
