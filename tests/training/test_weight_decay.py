"""Parameters without weight decay are those of the Trainer, and updates equal those of torch."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer

from problems import (
    HORIZON,
    KINDS,
    Polynomial,
    expansion,
    ignore,
    language_problem,
    optimizer_config,
    relative_error,
    warm_state,
)
from trainorder.config.sections.model import ModelConfig
from trainorder.errors import UserError
from trainorder.estimators.fut import FUT
from trainorder.estimators.order0 import Order0
from trainorder.expansion.barycentre import barycentre_step
from trainorder.expansion.gradient_moments import exact_moments
from trainorder.numerics import large_tensors
from trainorder.numerics.derivatives import gradient
from trainorder.training.adjoint_step import pulled_back
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import MOMENTS, State, build_optimizer
from trainorder.training.problem import unit_gradients
from trainorder.training.trainer import torch_optimizer
from trainorder.training.weight_decay import decayed_numbers, decays, parameter_groups

DECAY = {"weight_decay": 0.3, "schedule": "linear", "linear_warmup_steps": 3}
SIZE = 7
DECAYED = torch.tensor([1, 0, 1, 1, 0, 0, 1], dtype=torch.bool)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    """Return a model whose norms are those of torch, and which has biases."""
    folder = tmp_path_factory.mktemp("gpt2")
    shape = GPT2Config(
        vocab_size=13, n_positions=8, n_embd=8, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(shape).save_pretrained(folder)
    return LanguageModel(ModelConfig(source=str(folder)), 13, 7, 0, torch.float64)


@pytest.fixture(scope="module")
def llama():
    return language_problem().model


def exempt(model, rule):
    config = optimizer_config(weight_decay=0.1, no_decay=rule)
    return {n for n, decay in zip(model.names, decays(model, config), strict=True) if not decay}


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_norms_and_biases_are_those_of_the_trainer(family, request):
    model = request.getfixturevalue(family)
    theirs = Trainer.get_decay_parameter_names(None, model.module)
    assert exempt(model, "norms_and_biases") == set(model.names) - set(theirs)
    assert 0 < len(exempt(model, "norms_and_biases")) < len(model.names)


def test_parameters_are_exempted_by_shape_or_name(gpt2):
    vectors = {name for name, p in gpt2.module.named_parameters() if p.ndim == 1}
    assert exempt(gpt2, "vectors") == vectors
    assert exempt(gpt2, [r"wpe", r"bias$"]) == {n for n in gpt2.names if "wpe" in n or "bias" in n}
    assert exempt(gpt2, None) == set()
    with pytest.raises(UserError, match=r"optimizer.no_decay: `norm` matches no trained parameter"):
        exempt(gpt2, ["bias", "norm"])


def test_numbers_of_theta_follow_their_parameters(gpt2):
    config = optimizer_config(weight_decay=0.1, no_decay="vectors")
    mask = decayed_numbers(gpt2, config)
    for part, parameter in zip(gpt2.split(mask), gpt2.trained, strict=True):
        assert bool((part == (parameter.ndim > 1)).all())
    assert decayed_numbers(gpt2, optimizer_config(no_decay="vectors")) is None
    assert decayed_numbers(gpt2, optimizer_config(weight_decay=0.1)) is None


@pytest.mark.parametrize("kind", KINDS)
def test_real_training_decays_the_same_numbers_as_replays(kind, gpt2):
    config = optimizer_config(weight_decay=0.1, no_decay="norms_and_biases", **KINDS[kind])
    with torch.no_grad():
        for parameter in gpt2.trained:
            parameter.fill_(1.0)
    torch_one, state = torch_optimizer(gpt2, config), State(gpt2.parameters(), *2 * [None], 0)
    zero = torch.zeros_like(state.parameters)
    state = State(state.parameters, zero, zero.clone(), 0)
    for parameter in gpt2.trained:
        parameter.grad = torch.zeros_like(parameter)
    torch_one.step()
    build_optimizer(config, HORIZON, decayed_numbers(gpt2, config)).update(state, zero)
    assert torch.allclose(gpt2.parameters(), state.parameters, rtol=1e-14)
    assert len(parameter_groups(gpt2, config)) == 2
    assert 0 < int((state.parameters == 1).sum()) < gpt2.size, "all or none are decayed"


def joined(values):
    """Return a vector (P,) from its numbers with and without decay."""
    whole = torch.zeros(SIZE, dtype=torch.float64)
    for decay, value in values.items():
        whole = whole.index_put((torch.nonzero(decay == DECAYED)[:, 0],), value)
    return whole


def torch_with_two_groups(start, config):
    """Return torch's optimizer at a state, and the parameters of its groups by decay or not."""
    parts = {d: start.parameters[d == DECAYED].clone().requires_grad_() for d in (True, False)}
    groups = [
        {"params": [part], "weight_decay": config.weight_decay if decay else 0.0}
        for decay, part in parts.items()
    ]
    first, second = ({d: m[d == DECAYED].clone() for d in parts} for m in moments(start))
    if config.name == "sgd":
        optimizer = torch.optim.SGD(groups, lr=1.0, momentum=config.momentum)
        for decay, part in parts.items() if config.momentum else ():
            optimizer.state[part] = {"momentum_buffer": first[decay]}
        return optimizer, parts
    betas = (config.beta1, config.beta2)
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=betas, eps=config.epsilon)
    for decay, part in parts.items():
        count = torch.tensor(float(start.step))
        optimizer.state[part] = {
            "step": count, "exp_avg": first[decay], "exp_avg_sq": second[decay]
        }  # fmt: skip
    return optimizer, parts


def moments(state):
    return state.exp_avg, state.exp_avg_sq


def two_groups(problem, start, schedule, config):
    """Return the parameters before each step and after the last, and the last state, by torch."""
    optimizer, parts = torch_with_two_groups(start, config)
    rates, path = build_optimizer(config, HORIZON), [start.parameters]
    for step, row in enumerate(schedule, start=start.step):
        for group in optimizer.param_groups:
            group["lr"] = rates.learning_rate(step)
        optimizer.zero_grad()
        torch.stack([problem.loss(joined(parts), int(u)) for u in row]).mean().backward()
        optimizer.step()
        path.append(joined({d: part.detach() for d, part in parts.items()}))
    return path


def followed(problem, start, path, schedule, config, decayed):
    """Return the states of our optimizer with the gradients along a path of parameters."""
    optimizer, states = build_optimizer(config, HORIZON, decayed), [start]
    for theta, row in zip(path, schedule, strict=False):
        rows = [gradient(lambda x, u=u: problem.loss(x, u), theta) for u in row]
        state = states[-1].clone()
        optimizer.update(state, torch.stack(rows).mean(0))
        states.append(state)
    return states


SCHEDULE = [[3, 0], [4, 1], [5, 2]]


@pytest.fixture(params=[None, 2], ids=["at once", "in blocks"])
def blocks(request, monkeypatch):
    """Compute element-wise steps in blocks of two numbers, or at once."""
    if request.param:
        size = request.param
        monkeypatch.setattr(
            large_tensors,
            "column_blocks",
            lambda n, p: [slice(i, min(i + size, p)) for i in range(0, p, size)],
        )


@pytest.mark.parametrize("kind", KINDS)
def test_updates_equal_two_parameter_groups_of_torch(kind, blocks, tmp_path):
    problem, config = Polynomial(6, SIZE, degree=3), optimizer_config(**DECAY, **KINDS[kind])
    warm = warm_state(problem, problem.start, config)
    path = two_groups(problem, warm, SCHEDULE, config)
    states = followed(problem, warm, path, SCHEDULE, config, DECAYED)
    for t, (state, expected) in enumerate(zip(states, path, strict=True)):
        assert relative_error(state.parameters, expected) < 1e-12, f"other after {t} steps"
    whole = followed(problem, warm, path, SCHEDULE, config, None)[-1]
    assert relative_error(whole.parameters, path[-1]) > 1e-4, "without exemptions it is the same"
    with expansion(problem, states, config, tmp_path, decayed=DECAYED) as about:
        replayed = Order0(about).replay(torch.tensor([SCHEDULE]), ignore)[0]
        assert relative_error(replayed, path[-1]) < 1e-12, "the replay decays other parameters"
        if config.name == "adamw":
            published = FUT(about, 1.0).replay(torch.tensor([SCHEDULE]), ignore)[0]
            assert relative_error(published, path[-1]) < 1e-12, "`fut` decays other parameters"


@pytest.mark.parametrize("kind", KINDS)
def test_a_barycentre_of_one_step_for_all_units_is_training_on_all(kind, blocks):
    """With k = U, every order takes the same step, which is that of torch."""
    problem, config = Polynomial(6, SIZE), optimizer_config(**DECAY, **KINDS[kind])
    warm = warm_state(problem, problem.start, config)
    [_, expected] = two_groups(problem, warm, [list(range(6))], config)
    optimizer, state = build_optimizer(config, HORIZON, DECAYED), warm.clone()
    moments = exact_moments(unit_gradients(problem, warm.parameters))
    barycentre_step(moments, optimizer, state, 6, 6)
    assert relative_error(state.parameters, expected) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_the_transposed_step_exempts_the_same_parameters(kind, blocks):
    config = optimizer_config(**DECAY, **KINDS[kind])
    generator = torch.Generator().manual_seed(0)
    theta, m, v, g, a, b, c = torch.randn(7, SIZE, generator=generator, dtype=torch.float64)
    before = State(theta, m, v.abs(), 6)
    adjoint = State(a[None], b[None], (0 if config.name == "sgd" else 1) * c[None], 7)
    optimizer = build_optimizer(config, HORIZON, DECAYED)

    def product(theta):
        state = State(theta.clone(), *(getattr(before, n).clone() for n in MOMENTS[1:]), 6)
        optimizer.apply(state, g)
        return sum(float(getattr(state, n) @ getattr(adjoint, n)[0]) for n in MOMENTS), state

    steps = 1e-6 * torch.eye(SIZE, dtype=torch.float64)
    expected = [(product(theta + e)[0] - product(theta - e)[0]) / 2e-6 for e in steps]
    after = product(theta)[1]
    pulled_back(optimizer, after, adjoint)
    assert adjoint.parameters[0].tolist() == pytest.approx(expected, abs=1e-7)
