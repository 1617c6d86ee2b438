"""The configuration with all choices made: device, tokenizer and optimizer."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from trainorder.config.sections.window import WindowConfig
from trainorder.errors import UserError
from trainorder.training.existing_run.checkpoint_files import is_of_trainer
from trainorder.training.rate_files import read_rates
from trainorder.workflow.invocation import Invocation
from trainorder.workflow.stages.study import Config


def resolved_config(config: Mapping[str, Any], invocation: Invocation) -> Config:
    """Return the configuration with its open choices made: device, tokenizer, optimizer."""
    completed = deepcopy(dict(config))
    if completed["device"] == "auto":
        completed["device"] = _device(invocation)
    corpus = completed["corpus"]
    if corpus["source"] != "tokens":  # the default is the tokenizer of the model
        corpus["tokenizer"] = corpus["tokenizer"] or _own_tokenizer(completed["model"])
    optimizer, window = completed["optimizer"], WindowConfig(**completed["window"])
    open_rule = optimizer["weight_decay"] and optimizer["no_decay"] is None
    if (
        completed["run"]
        and open_rule
        and is_of_trainer(completed["run"]["checkpoints"], window.warmup_steps)
    ):
        optimizer["no_decay"] = "norms_and_biases"
    if isinstance(optimizer["rates"], str):  # jobs take the rates, so they rerun where these change
        first = window.warmup_steps if completed["run"] else 0
        optimizer["rates"] = read_rates(optimizer["rates"], range(first, window.horizon))
    return completed


def _own_tokenizer(model: Mapping[str, Any]) -> str | None:
    """Return the name of the tokenizer of a model, `name@revision` if it has a revision."""
    source, revision = model["source"], model["revision"]
    return source if revision is None else f"{source}@{revision}"


def _device(invocation: Invocation) -> str:
    """Return `cpu` or `cuda`. All jobs use the same one, as the keys of their files depend on it.

    Raises:
        UserError: jobs run on a cluster, whose nodes may differ from this machine.

    """
    if invocation.remote or invocation.cores is None:
        raise UserError(
            "config: device: auto cannot be used on a cluster, whose nodes may differ from this "
            "machine; set cpu or cuda"
        )
    from trainorder.training.device import resolved  # imports torch, which takes seconds

    return resolved("auto")
