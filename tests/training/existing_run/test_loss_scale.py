"""The loss scale of a run is detected; what is no constant factor is not."""

import numpy as np
import pytest
import torch

from problems import optimizer_config
from trainers import LENGTH, UNIT_DOMAINS, UNITS, VOCABULARY, llama, token_arrays, train
from trainorder.config.sections.model import ModelConfig
from trainorder.data.corpus import Corpus
from trainorder.errors import UserError
from trainorder.training.checkpoints import Checkpoints, read_loss_scale, write_state
from trainorder.training.existing_run import loss_scale
from trainorder.training.existing_run.loss_scale import detected_loss_scale, detected_steps
from trainorder.training.existing_run.stored_state import read_checkpoint
from trainorder.training.existing_run.window_states import window_states
from trainorder.training.meter import Meter
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import AdamW
from trainorder.training.problem import LanguageProblem
from trainorder.training.trainer import train as train_truth

FIRST, RATE, HORIZON = 2, 1e-2, 40
ORDER = np.array([[3], [0], [5], [1], [4], [2]])
SIZES = ModelConfig(hidden_size=8, intermediate_size=12, layers=1, heads=2)
TRAINERS = (LENGTH - 1) / LENGTH


@pytest.fixture(scope="module")
def arrays():
    return token_arrays()


@pytest.fixture(scope="module")
def runs(arrays, tmp_path_factory):
    """Return a function that trains a run whose loss has a factor; returns folder and states."""
    done = {}

    def run(scale):
        if scale not in done:
            folder = tmp_path_factory.mktemp("run")
            batches = [*token_arrays(seed=6)["units"][:FIRST], *arrays["units"][ORDER[:, 0]]]
            states = train(llama(), batches, lambda step: RATE, folder, FIRST, loss_scale=scale)
            done[scale] = folder, states
        return done[scale]

    return run


def problem(arrays, scale=1.0):
    corpus = Corpus(
        ["sea", "hill"], VOCABULARY, np.zeros((0, LENGTH)), arrays["units"], UNIT_DOMAINS,
        arrays["heldout"],
    )  # fmt: skip
    model = LanguageModel(SIZES, VOCABULARY, LENGTH, 0, torch.float32)
    return LanguageProblem(model, corpus, Meter(), loss_scale=scale)


def detected(arrays, folder, steps, order=ORDER, **changes):
    optimizer = AdamW(optimizer_config(learning_rate=RATE, **changes), HORIZON)
    return detected_loss_scale(folder, steps, order, problem(arrays), optimizer, 1e-3)


@pytest.mark.parametrize("steps", [[2, 3], [2, 5, 8], [2, 8]], ids=str)
@pytest.mark.parametrize("scale", [TRAINERS, 1.0, 0.3, 16.0])
def test_a_constant_factor_is_detected(scale, steps, runs, arrays):
    found = detected(arrays, runs(scale)[0], steps)
    if scale in (TRAINERS, 1.0):
        assert found == scale, "the usual factors are exact"
    assert found == pytest.approx(scale, rel=1e-3)


@pytest.mark.parametrize("scale", [TRAINERS, 0.3])
def test_a_factor_shows_where_a_gradient_is_not_clipped(scale, arrays, tmp_path):
    batches = arrays["units"][ORDER[:, 0]]
    norms = gradient_norms(batches)
    largest = scale * (sorted(norms)[2] + 1e-3)  # three of six steps are not clipped
    train(llama(), batches, lambda step: RATE, tmp_path, loss_scale=scale, clip=largest)
    found = detected(arrays, tmp_path, list(range(UNITS + 1)), gradient_clip=largest)
    assert found == pytest.approx(scale, rel=1e-3)


NEAR = [1.02, 0.98, 0.999, 1.0004]


def noisy(state, before, relative, seed=0):
    """Add noise to what a state differs by from an earlier one, as lower precision does."""
    generator = torch.Generator().manual_seed(seed)
    for name in ("parameters", "exp_avg", "exp_avg_sq"):
        change = getattr(state, name) - getattr(before, name)
        noise = torch.randn(change.shape, generator=generator)
        getattr(state, name).add_(relative * change.norm() * noise / noise.norm())
    return state


@pytest.fixture
def rounded_run(arrays, tmp_path, monkeypatch):
    """Return a function that detects the loss scale of a run whose states have some noise."""

    def detect(scale, relative, tolerance):
        train(llama(), arrays["units"][ORDER[:, 0]], lambda step: RATE, tmp_path, loss_scale=scale)
        states = {step: read_checkpoint(tmp_path, step, problem(arrays).model) for step in (0, 1)}
        noisy(states[1], states[0], relative)
        monkeypatch.setattr(loss_scale, "read_checkpoint", lambda folder, step, _: states[step])
        optimizer = AdamW(optimizer_config(learning_rate=RATE), HORIZON)
        return detected_loss_scale(tmp_path, [0, 1], ORDER, problem(arrays), optimizer, tolerance)

    return detect


@pytest.mark.parametrize("tolerance", [1e-3, 0.1])
@pytest.mark.parametrize("scale", NEAR)
def test_a_loss_scale_near_1_does_not_pass_as_1_within_the_tolerance(scale, tolerance, rounded_run):
    assert rounded_run(scale, 0.0, tolerance) == pytest.approx(scale, rel=2e-5), (
        "the tolerance for arrival hides a loss scale that the gradients tell exactly"
    )


@pytest.mark.parametrize("scale", [1.0, TRAINERS])
def test_a_usual_loss_scale_is_exact_within_the_noise_of_a_run(scale, rounded_run):
    assert rounded_run(scale, 0.02, 0.2) == scale


def test_a_loss_scale_is_found_where_it_exceeds_the_noise_of_a_run(rounded_run):
    assert rounded_run(1.1, 0.02, 0.5) == pytest.approx(1.1, rel=0.02)


def gradient_norms(batches):
    """Return the norms of the gradients of a run without clipping, nearly those with it."""
    module, norms = llama(), []
    optimizer = torch.optim.AdamW(module.parameters(), lr=RATE, weight_decay=0.0)
    for batch in batches:
        tokens = torch.as_tensor(batch)
        optimizer.zero_grad()
        logits = module(tokens).logits[:, :-1].flatten(0, 1)
        torch.nn.functional.cross_entropy(logits, tokens[:, 1:].flatten()).backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(module.parameters(), torch.inf)))
        optimizer.step()
    return norms


@pytest.mark.parametrize("scale", [TRAINERS, 0.3])
def test_with_the_factor_the_run_is_verified_and_without_it_it_is_not(scale, runs, arrays):
    folder, states = runs(scale)
    optimizer = AdamW(optimizer_config(learning_rate=RATE), HORIZON)

    def walked(scale):
        steps = [2, 3, 8]
        return list(window_states(folder, steps, ORDER, problem(arrays, scale), optimizer, 1e-3))

    assert torch.equal(walked(scale)[-1].parameters, states[-1].parameters)
    with pytest.raises(UserError, match="checkpoint-3: exp_avg"):
        walked(1.0)


@pytest.mark.parametrize("case", ["another order", "another momentum", "one checkpoint"])
def test_what_is_no_constant_factor_gives_none(case, runs, arrays):
    folder = runs(1.0)[0]
    order, steps = (ORDER[::-1], [2, 3]) if case == "another order" else (ORDER, [2, 3])
    changes = {"beta1": 0.5} if case == "another momentum" else {}
    steps = [2] if case == "one checkpoint" else steps
    assert detected(arrays, folder, steps, order, **changes) == 1.0


def test_only_an_open_factor_is_detected():
    assert detected_steps([2, 5, 8], None) == 3
    assert detected_steps([2, 5, 8], 0.9) == 0
    assert detected_steps([2], None) == 0


def test_true_training_uses_the_factor_and_reports_plain_losses(runs, arrays, tmp_path):
    _, states = runs(0.3)
    scaled = problem(arrays, 0.3)
    result = train_truth(
        scaled.model,
        states[0].clone(),
        lambda step: scaled.batch(ORDER[step]),
        steps=UNITS,
        config=optimizer_config(learning_rate=RATE),
        horizon=HORIZON,
        checkpoints=Checkpoints(tmp_path, "k", UNITS),
        label="test",
        loss_scale=scaled.loss_scale,
    )
    error = (result.state.parameters - states[-1].parameters).norm()
    assert error < 1e-5 * states[-1].parameters.norm()
    plain = problem(arrays).unit_losses(states[0].parameters)
    assert result.losses[0] == pytest.approx(plain[ORDER[0, 0]], rel=1e-6)
    assert scaled.unit_losses(states[0].parameters) == pytest.approx(plain, rel=1e-6)
    assert float(scaled.loss(states[0].parameters, 2)) == pytest.approx(0.3 * plain[2], rel=1e-6)


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_the_factor_is_stored_with_the_start(scale, runs, tmp_path):
    write_state(tmp_path / "warm.h5", "k", runs(1.0)[1][0], scale)
    assert read_loss_scale(tmp_path / "warm.h5", "k") == scale
