"""The states of an existing run equal those of its trainer; a run that differs is found."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Trainer, TrainingArguments

from problems import optimizer_config
from trainers import (
    LENGTH,
    UNIT_DOMAINS,
    UNITS,
    VOCABULARY,
    documented,
    llama,
    state_of,
    token_arrays,
    train,
)
from trainorder.config.sections.model import ModelConfig
from trainorder.data.corpus import Corpus
from trainorder.errors import UserError
from trainorder.training.existing_run.stored_state import read_checkpoint
from trainorder.training.existing_run.window_states import verification, window_states
from trainorder.training.meter import Meter
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import MOMENTS, AdamW
from trainorder.training.problem import LanguageProblem

FIRST, RATE, HORIZON = 2, 1e-2, 40
ORDER = np.array([[3], [0], [5], [1], [4], [2]])
SIZES = ModelConfig(hidden_size=8, intermediate_size=12, layers=1, heads=2)


def batches(arrays):
    """Return the batches of a run: two warm-up batches, then the units in ORDER."""
    warmup = token_arrays(seed=6)["units"][:FIRST]
    return [*warmup, *arrays["units"][ORDER[:, 0]]]


@pytest.fixture(scope="module")
def arrays():
    return token_arrays()


@pytest.fixture(scope="module")
def run(arrays, tmp_path_factory):
    """Return the folder of a run with a checkpoint at every step, and its states."""
    folder = tmp_path_factory.mktemp("run")
    return folder, train(llama(), batches(arrays), lambda step: RATE, folder, FIRST)


@pytest.fixture
def problem(arrays):
    corpus = Corpus(
        ["sea", "hill"], VOCABULARY, np.zeros((0, LENGTH)), arrays["units"], UNIT_DOMAINS,
        arrays["heldout"],
    )  # fmt: skip
    return LanguageProblem(
        LanguageModel(SIZES, VOCABULARY, LENGTH, 0, torch.float32), corpus, Meter()
    )


@pytest.fixture
def model(problem):
    return problem.model


def same(state, other):
    """Return whether two states are equal to the bit."""
    return state.step == other.step and all(
        torch.equal(getattr(state, name), getattr(other, name)) for name in MOMENTS
    )


@pytest.fixture
def copied(run, tmp_path):
    """Return a function that copies a checkpoint with changed tensors and returns its folder."""

    def change(name, edit, step=FIRST):
        target = tmp_path / f"checkpoint-{step}"
        target.mkdir(exist_ok=True)
        for file in ("model.safetensors", "optimizer.safetensors"):
            tensors = load_file(run[0] / target.name / file)
            if file.startswith(name):
                edit(tensors)
            save_file(tensors, target / file)
        return tmp_path

    return change


def walked(problem, folder, steps, order=ORDER, tolerance=1e-3, **changes):
    """Return copies of the states along the window."""
    config = optimizer_config(**{"learning_rate": RATE, **changes})
    optimizer = AdamW(config, HORIZON)
    states = window_states(folder, list(steps), order, problem, optimizer, tolerance)
    return [state.clone() for state in states]


EVERY = range(FIRST, FIRST + UNITS + 1)


def test_with_a_checkpoint_at_every_step_states_equal_those_of_the_trainer(run, problem):
    path = walked(problem, run[0], EVERY)
    assert len(path) == UNITS + 1
    for t, (state, expected) in enumerate(zip(path, run[1], strict=True)):
        assert same(state, expected), f"the state before step {t} differs from that of the trainer"
    assert run[1][0].exp_avg.any(), "all moments are zero, so the test does not cover them"
    assert problem.meter.total == {"gradients": 2 * problem.sequences}, (
        "more gradients were computed than those that verify two steps"
    )


SPARSE = {  # checkpoints, steps that are trained again
    "every second": ([2, 4, 6, 8], 6),
    "irregular": ([2, 3, 4, 5, 8], 5),
    "both ends": ([2, 8], 6),
    "not at the end": ([2, 3, 6], 6),
    "the first alone": ([2], 6),
}


@pytest.mark.parametrize("case", SPARSE)
def test_states_between_checkpoints_are_those_of_the_trainer_up_to_rounding(run, problem, case):
    steps, retrained = SPARSE[case]
    path = walked(problem, run[0], steps)
    assert len(path) == UNITS + 1
    for t, (state, expected) in enumerate(zip(path, run[1], strict=True)):
        assert state.step == expected.step
        if state.step in steps:
            assert same(state, expected), f"checkpoint-{state.step} is not on the path"
        for name in MOMENTS:
            moved = (getattr(expected, name) - getattr(run[1][t - 1 if t else 1], name)).norm()
            error = (getattr(state, name) - getattr(expected, name)).norm()
            assert error < 1e-4 * moved, f"{name} before step {t} was not reached by training"
    assert problem.meter.total == {"gradients": retrained * problem.sequences}


def test_the_states_may_start_in_the_middle_of_a_run(run, problem):
    path = walked(problem, run[0], [4, 6, 8], order=ORDER[2:])
    assert len(path) == UNITS - 1
    assert same(path[0], run[1][2])
    assert same(path[2], run[1][4])


@pytest.mark.parametrize(
    ("checkpoints", "verified", "stored", "unverified"),
    [
        ([2, 4, 6, 8], [[0, 2], [2, 4], [4, 6]], [], []),
        ([2, 4, 6], [[0, 2], [2, 4]], [], [[4, 6]]),
        ([2], [], [], [[0, 6]]),
        ([2, 3, 4, 5, 8], [[0, 1], [2, 3], [3, 6]], [[1, 2]], []),
        ([2, 3], [[0, 1]], [], [[1, 6]]),
    ],
    ids=str,
)
def test_a_step_is_verified_only_if_training_arrived_at_a_checkpoint_after_it(
    checkpoints, verified, stored, unverified
):
    intervals = verification(checkpoints, 8)
    assert intervals == {"verified": verified, "stored": stored, "unverified": unverified}
    every = sorted(interval for part in intervals.values() for interval in part)
    assert [every[0][0], every[-1][1]] == [0, 6], "a step of the window is in no interval"
    assert all(a[1] == b[0] for a, b in pairwise(every)), "intervals overlap or leave a gap"


def test_a_checkpoint_before_the_first_update_has_zero_moments(tmp_path, arrays, model):
    states = train(llama(), batches(arrays)[:1], lambda step: RATE, tmp_path)
    state = read_checkpoint(tmp_path, 0, model)
    assert same(state, states[0])
    assert not state.exp_avg.any()


@pytest.mark.parametrize("both", [False, True], ids=["the other name", "both names"])
def test_tied_weights_are_read_under_either_name(run, copied, model, both):
    def tied(tensors):
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
        if not both:
            del tensors["model.embed_tokens.weight"]

    def tied_moments(tensors):
        for moment in ("exp_avg", "exp_avg_sq"):
            tensors[f"lm_head.weight.{moment}"] = tensors.pop(f"model.embed_tokens.weight.{moment}")

    assert same(read_checkpoint(copied("model", tied), FIRST, model), run[1][0])
    assert same(read_checkpoint(copied("optimizer", tied_moments), FIRST, model), run[1][0])


def put(name, value):
    """Return an edit that replaces a tensor by a value or by a function of the tensor."""

    def edit(tensors):
        tensors[name] = value(tensors[name]) if callable(value) else value

    return edit


def without(name):
    return lambda tensors: tensors.pop(name)


def with_nan(tensor):
    tensor = tensor.clone()
    tensor.view(-1)[1] = float("nan")
    return tensor


NORM = "model.norm.weight"
INVALID = {  # file, edit of its tensors, regular expression of the message after the path
    "parameter missing": ("model", without(NORM), f"`{NORM}` is missing; "),
    "parameter unknown": (
        "model",
        put("h.0.w", torch.ones(2)),
        "`h.0.w` belongs to no trained parameter",
    ),
    "parameter of another shape": (
        "model",
        put(NORM, torch.ones(9)),
        r"has shape \(9,\), expected \(8,\)",
    ),
    "parameter in half precision": (
        "model",
        put(NORM, lambda x: x.bfloat16()),
        "has dtype bfloat16",
    ),
    "parameter not finite": ("model", put(NORM, with_nan), "has values that are not finite"),
    "tied weights apart": (
        "model",
        put("lm_head.weight", torch.ones(VOCABULARY, 8)),
        "differs from `.*`, but the model ties them",
    ),
    "moment missing": ("optimizer", without(f"{NORM}.exp_avg_sq"), "exp_avg_sq` is missing"),
    "moment unknown": ("optimizer", put("x.exp_avg", torch.ones(2)), "`x.exp_avg` belongs to no"),
    "moment of another shape": (
        "optimizer",
        put(f"{NORM}.exp_avg", torch.ones(1, 8)),
        r"shape \(1, 8\)",
    ),
    "moment not finite": ("optimizer", put(f"{NORM}.exp_avg", with_nan), "not finite"),
    "another step": (
        "optimizer",
        put("step", torch.tensor(7)),
        "is 7, but the folder is checkpoint-2",
    ),
    "steps": (
        "optimizer",
        put("step", torch.ones(2)),
        r"`step` has shape \(2,\), expected a single",
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_a_checkpoint_that_does_not_fit_the_model_raises_with_the_path(copied, model, case):
    file, edit, message = INVALID[case]
    folder = copied(file, edit)
    with pytest.raises(UserError, match=message) as error:
        read_checkpoint(folder, FIRST, model)
    assert str(error.value).startswith(f"{folder}/checkpoint-2/{file}.safetensors: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x02}q\x00.", b"\xff" * 64])
@pytest.mark.parametrize("file", ["model", "optimizer"])
def test_a_file_that_is_not_safetensors_raises(copied, model, file, content):
    folder = copied("none", None)
    path = folder / f"checkpoint-2/{file}.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"^{path}: not readable as safetensors: [^\n]*$"):
        read_checkpoint(folder, FIRST, model)


def test_the_tensor_step_is_optional(run, copied, model):
    assert same(read_checkpoint(copied("optimizer", without("step")), FIRST, model), run[1][0])


@pytest.fixture
def partly(tmp_path, arrays):
    """Return the folder, the model and the states of a run that trained only the norms."""
    module = llama()
    module.save_pretrained(tmp_path / "source")
    for name, parameter in module.named_parameters():
        parameter.requires_grad_("norm" in name)
    states = train(module, batches(arrays), lambda step: RATE, tmp_path)
    config = ModelConfig(
        hidden_size=2,
        intermediate_size=1,
        layers=1,
        heads=1,
        source=str(tmp_path / "source"),
        trainable=["norm"],
    )
    return tmp_path, LanguageModel(config, VOCABULARY, LENGTH, 0, torch.float32), states


def test_the_state_contains_only_trained_parameters(partly):
    folder, model, states = partly
    assert model.size == 3 * 8
    assert same(read_checkpoint(folder, 4, model), states[4])


def test_frozen_parameters_must_equal_those_of_the_model(partly, run):
    folder, model, _ = partly
    path, name = folder / "checkpoint-4/model.safetensors", "model.layers.0.mlp.up_proj.weight"
    tensors = load_file(path)
    norms = {key: tensor for key, tensor in tensors.items() if "norm" in key}
    save_file(norms, path)  # frozen parameters are optional
    read_checkpoint(folder, 4, model)
    save_file({**tensors, name: tensors[name] + 1}, path)
    with pytest.raises(UserError, match=f"`{name}` is not trained, but differs from model.source"):
        read_checkpoint(folder, 4, model)


def test_moments_of_a_frozen_parameter_raise(partly, run):
    _, model, _ = partly
    with pytest.raises(UserError, match="exp_avg` belongs to no trained parameter"):
        read_checkpoint(run[0], FIRST, frozen_as(model, run[0]))


def frozen_as(model, folder):
    """Load the parameters of the first checkpoint into the model and return it."""
    tensors = load_file(folder / f"checkpoint-{FIRST}/model.safetensors")
    model.module.load_state_dict(tensors, strict=False)
    return model


def test_a_step_with_learning_rate_zero_passes(tmp_path, arrays, problem):
    """The first step of a linear warm-up has learning rate zero."""
    train(llama(), batches(arrays)[FIRST:], lambda step: RATE * step / 30, tmp_path)
    walked(problem, tmp_path, range(UNITS + 1), linear_warmup_steps=30)


DIFFERENCES = {  # difference from the run, regular expression of the message
    "the order": ({"order": ORDER[::-1]}, "checkpoint-3: exp_avg: .* run.order"),
    "its end": ({"order": np.concatenate([ORDER[:-1], ORDER[:1]])}, "checkpoint-8: exp_avg:"),
    "momentum": ({"beta1": 0.5}, "optimizer.beta1"),
    "clipping": ({"gradient_clip": 1e-3}, "optimizer.gradient_clip"),
    "second moments": ({"beta2": 0.99}, "exp_avg_sq: .* optimizer.beta2"),
    "the rate": ({"learning_rate": 2 * RATE}, "parameters: .* optimizer.learning_rate"),
    "the rate, nearly": ({"learning_rate": 1.01 * RATE}, "parameters: .* run.tolerance"),
    "decay": ({"weight_decay": 1.0}, "parameters: .* weight_decay"),
    "the schedule's end": ({"schedule": "cosine", "horizon": 9}, "parameters: .* horizon"),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_a_configuration_that_differs_raises_and_names_the_settings(run, problem, case):
    changes, message = DIFFERENCES[case]
    with pytest.raises(UserError, match=message) as error:
        walked(problem, run[0], EVERY, **changes)
    assert "\n" not in str(error.value)


def test_other_tokens_raise(run, problem, arrays):
    problem._tokens = (problem._tokens + 1) % VOCABULARY
    with pytest.raises(UserError, match=r"exp_avg: .* corpus.files"):
        walked(problem, run[0], EVERY)


def test_a_difference_within_the_tolerance_passes(run, problem):
    walked(problem, run[0], EVERY, tolerance=0.1, learning_rate=1.01 * RATE)


@pytest.mark.parametrize("steps", [[2, 4, 6, 8], [2, 5, 8], [2, 8]], ids=str)
@pytest.mark.parametrize("case", DIFFERENCES)
def test_a_configuration_that_differs_raises_with_sparse_checkpoints(run, problem, case, steps):
    with pytest.raises(UserError, match=r"checkpoint-[458]: ") as error:
        walked(problem, run[0], steps, **DIFFERENCES[case][0])
    assert "optimizer.learning_rate" in str(error.value)


def test_a_training_that_diverges_raises_one_line(run, problem):
    with pytest.raises(UserError, match=r"checkpoint-2: .* diverges at step \d; .* run.order"):
        walked(problem, run[0], [2], learning_rate=1e30)


def test_the_documented_callback_writes_a_run_with_the_trainer_of_transformers(
    tmp_path, arrays, problem
):
    rows = [
        {"input_ids": row, "labels": row}
        for batch in batches(arrays)[FIRST:]
        for row in torch.as_tensor(batch)
    ]
    arguments = TrainingArguments(
        str(tmp_path), max_steps=UNITS, save_strategy="steps", save_steps=1, learning_rate=RATE,
        per_device_train_batch_size=2, adam_beta2=0.95, max_grad_norm=0.0, weight_decay=0.0,
        lr_scheduler_type="constant", logging_strategy="no", report_to=[], use_cpu=True,
        disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(
        llama(), arguments, train_dataset=InOrder(rows), callbacks=[documented("SaveOptimizer")()]
    )
    trainer.train()
    trained = list(trainer.model.parameters())
    assert same(
        read_checkpoint(tmp_path, UNITS, problem.model), state_of(trained, trainer.optimizer, UNITS)
    )
    walked(problem, tmp_path, range(1, UNITS + 1), order=ORDER[1:])
    walked(problem, tmp_path, [1, 4, UNITS], order=ORDER[1:])


class InOrder(torch.utils.data.IterableDataset):
    """A data set that is not shuffled."""

    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)
