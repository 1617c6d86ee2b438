"""What was studied, in sentences: model, texts, window, learning rates, and retrained orders."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.model import ModelConfig
from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.curriculum.candidates_file import FIELD, SEARCHED
from trainorder.evaluation.results import Results, size_text
from trainorder.orders.order import CALIBRATION, FIT, HELD_BACK
from trainorder.orders.order_descriptions import order_description
from trainorder.training.learning_rates import learning_rate


def setting(results: Results, domains: list[str]) -> str:
    """Return a paragraph about the training that the study looks at.

    Args:
        results: of the study.
        domains: the domain of each unit.

    """
    config = results.validation["provenance"]["config"]
    window, before = config["window"], config["window"]["warmup_steps"]
    parameters = size_text(results.validation["parameters"])
    model = f"{_model(ModelConfig(**config['model']))} with {parameters} trained parameters"
    started = f"was trained for {before:,} steps" if before else "starts from random weights"
    if config.get("run"):
        started = "was trained by a run of the user"
    units = ", ".join(f"{name} ({n})" for name, n in sorted(Counter(domains).items()))
    per_step = window["units_per_step"]
    each = "one *unit*" if per_step == 1 else f"{per_step} *units*"
    return (
        f"{model} {started}. The study is about the {results.steps} steps that follow, the "
        f"*window*, numbered from 0 to {results.steps - 1}. In each of them the model learns from "
        f"{each}: {_sequences(window, config)}{_tokenizer(config)}. "
        f"The domains of the units: {units}. {_optimizer(config, results.steps)} The order in "
        "which the units came is the *reference*. The question is what another order of the same "
        "units would have given, at the end of the window."
    )


def verified_run(results: Results) -> str:
    """Return how far the study repeats an existing run, in one sentence; empty without a run."""
    if results.existing_run is None:
        return ""
    return f"The reference follows a **run of the user**: {results.existing_run}."


def _model(model: ModelConfig) -> str:
    """Return the model: that of a source, or a new transformer of the given sizes."""
    if model.source:
        return f"The model `{model.source}`"
    return (
        f"A new transformer (Llama) of {model.layers} layers, width {model.hidden_size} and "
        f"{model.heads} heads"
    )


def _optimizer(config: Mapping[str, Any], steps: int) -> str:
    name = {"adamw": "AdamW", "sgd": "SGD"}.get(config["optimizer"]["name"])
    return f"The optimizer is {name or config['optimizer']['name']}. {_rates(config, steps)}"


def retrained_orders(results: Results) -> str:
    """Return how many orders were retrained, by kind, in one sentence that sums them."""
    splits = Counter(str(order["split"]) for order in results.orders.values())
    added = [
        order
        for order in (results.curriculum or {}).get("orders", ())
        if order["true"] is not None and order["name"] not in results.orders
    ]
    kinds = Counter(order["kind"] for order in added)
    random = {
        "held-back": splits[HELD_BACK], "calibration": splits[CALIBRATION],
        "for fits": splits[FIT],
    }  # fmt: skip
    others = {
        "structured": splits["structured"], "your own": splits["custom"],
        "searched": kinds[SEARCHED], "heuristic": kinds[FIELD],
    }  # fmt: skip
    return (
        f"Retrained for real, beside the reference: {_sum_text(random, 'random orders')}; and "
        f"{_sum_text(others, 'others')}."
    )


def named_orders(results: Results) -> dict[str, str]:
    """Return what each retrained order that is not random is, by name; your own have no text."""
    added = [one["name"] for one in (results.curriculum or {}).get("orders", ()) if one["true"]]
    structured = [name for name in results.orders if results.split(name) == "structured"]
    named = {name: order_description(name) for name in [*structured, *added]}
    return {name: text for name, text in named.items() if text}


def _sum_text(counts: Mapping[str, int], what: str) -> str:
    parts = [f"{n} {name}" for name, n in counts.items() if n]
    inside = f" ({' + '.join(parts)})" if parts else ""
    return f"{sum(counts.values())} {what}{inside}"


def _sequences(window: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    count, length = window["unit_size"], config["corpus"]["sequence_length"]
    what = "one sequence" if count == 1 else f"{count} sequences"
    return f"{what} of {length} tokens"


def _tokenizer(config: Mapping[str, Any]) -> str:
    """Return the tokenizer in brackets; nothing if the text comes as tokens."""
    corpus = CorpusConfig(**config["corpus"])
    if corpus.source == "tokens":
        return ""
    given = corpus.tokenizer or ModelConfig(**config["model"]).source
    if given:
        return f" (tokenizer of `{given}`)"
    return (
        f" (byte-level BPE with a vocabulary of {corpus.vocabulary}, trained on the text before "
        "the window)"
    )


def _rates(config: Mapping[str, Any], steps: int) -> str:
    """Return how the learning rate changes in the window, unless it comes from a file."""
    optimizer = OptimizerConfig(**config["optimizer"])
    if isinstance(optimizer.rates, str):
        return "The learning rates are those of a file."
    start = int(config["window"]["warmup_steps"])
    ends = [learning_rate(optimizer, step, start + steps) for step in (start, start + steps - 1)]
    first, last = (f"{rate:#.2g}" for rate in ends)
    if first == last:
        return f"The learning rate is {first} throughout."
    return f"The learning rate goes from {first} in the first step to {last} in the last one."
