"""The optimizer of a study and its learning-rate schedule."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from trainorder.config.sections.patterns import check_patterns
from trainorder.config.types import (
    CLOSED,
    BoundedNumber,
    Decay,
    Fraction,
    Natural,
    NonEmpty,
    NonEmptyPath,
    Number,
    Positive,
    PositiveNumber,
    Rate,
)

Schedule = Literal["constant", "cosine", "linear", "warmup_stable_decay"]

# The names of norms_and_biases, as in `Trainer.get_decay_parameter_names` of transformers 5, which
# searches names in lower case. It exempts all parameters of `torch.nn.LayerNorm`, too.
NORMS_AND_BIASES = ("bias", "layernorm", "rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)")


@dataclass(frozen=True, config=CLOSED)
class OptimizerConfig:
    """The optimizer (torch.optim) and its learning-rate schedule."""

    name: Literal["adamw", "sgd"] = "adamw"
    """adamw or sgd."""
    learning_rate: BoundedNumber = 2.0e-3
    """Largest learning rate."""
    beta1: Decay = 0.9
    """Of adamw."""
    beta2: Decay = 0.95
    """Of adamw."""
    epsilon: BoundedNumber = 1.0e-8
    """Of adamw."""
    momentum: Decay = 0.9
    """Of sgd; 0: none."""
    weight_decay: Annotated[Number, Field(ge=0, le=1e30)] = 0.0
    """adamw: decoupled. sgd: added to the gradient."""
    no_decay: (
        Literal["norms_and_biases", "vectors"]
        | Annotated[list[NonEmpty], Field(min_length=1)]
        | None
    ) = None
    """Parameters without weight decay: norms_and_biases (the rule of the Trainer of transformers),
    vectors (those of one dimension), or regular expressions of names. null: none, and
    norms_and_biases for a run of that Trainer."""
    schedule: Schedule = "cosine"
    """constant, cosine, linear or warmup_stable_decay, after a linear warm-up."""
    horizon: Positive | None = None
    """Steps that the schedule spans. null: warm-up training and window."""
    linear_warmup_steps: Natural = 20
    """Steps of the linear warm-up of the learning rate."""
    final_fraction: Fraction = 0.1
    """Last learning rate of a schedule that decays, as a fraction of learning_rate."""
    decay_steps: Positive | Annotated[Number, Field(gt=0, lt=1)] | None = None
    """For warmup_stable_decay: number of the last steps, in which the rate decays; or their share
    of the horizon."""
    decay_form: Literal["linear", "cosine", "1-sqrt"] = "cosine"
    """For warmup_stable_decay: form of the decay."""
    rates: Annotated[list[Rate], Field(min_length=1)] | NonEmptyPath | None = None
    """Learning rate of each step, instead of learning_rate and schedule: a list that ends with the
    last step of the window, or a .csv file with the columns step and learning_rate. It covers the
    window and, without run, the warm-up training."""
    gradient_clip: PositiveNumber | None = None
    """Largest norm of a gradient. null: no clipping."""

    @model_validator(mode="after")
    def _check(self) -> "OptimizerConfig":
        if self.schedule == "warmup_stable_decay" and self.decay_steps is None:
            raise ValueError(
                "decay_steps: schedule `warmup_stable_decay` needs the number of its decay steps, "
                "or their share of the horizon; set it"
            )
        if isinstance(self.no_decay, list):
            check_patterns("no_decay", self.no_decay)
        if isinstance(self.rates, str) and Path(self.rates).suffix != ".csv":
            raise ValueError(f"rates: {self.rates}: expected a .csv file, or a list of rates")
        return self

    def decaying(self, horizon: int) -> int:
        """Return how many of the `horizon` steps of `warmup_stable_decay` are decay steps."""
        steps = self.decay_steps or 0
        return steps if isinstance(steps, int) else max(1, round(steps * horizon))
