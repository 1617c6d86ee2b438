"""Losses and their derivatives are computed on the device, everything else on the host.

Without a GPU, fake tensors replace those of a GPU. They store no numbers but have a device, and an
operation on tensors of two devices fails.
"""

import os
from functools import partial

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call

from problems import HORIZON, language_problem, optimizer_config, relative_error, taylor_rows
from trainorder.errors import UserError
from trainorder.evaluation import costs as accounting
from trainorder.numerics import large_tensors
from trainorder.numerics.derivatives import gradient
from trainorder.training import model as model_module
from trainorder.training import trainer as training
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.device import prepared, resolved
from trainorder.training.meter import Meter
from trainorder.training.model import next_token_loss
from trainorder.training.problem import LanguageProblem

OTHER = torch.device("meta")  # for fake tensors any device other than the host works
SCHEDULE = np.array([[0, 3], [1, 4], [2, 5]])
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")


@pytest.fixture
def elsewhere(monkeypatch):
    """Return a problem on a device other than the host; its tensors store no numbers."""
    monkeypatch.setattr(model_module, "_has_context", lambda tokens: False)  # reads numbers
    monkeypatch.setattr(
        large_tensors, "_allocate", lambda make, shape, dtype: torch.empty(shape, dtype=dtype)
    )
    problem = language_problem(dtype=torch.float32, device=OTHER)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield problem


def losses(problem):
    """Return every loss that the library differentiates, by name, as functions of theta."""
    rows = np.array([[0, 1], [3, 0]])
    return {
        "unit": partial(problem.loss, unit=1),
        "sequences": partial(problem.sample_loss, rows=rows),
        "held-out": partial(problem.goal_loss, goal=1),
        "batch": partial(problem.model.loss, tokens=problem.batch(SCHEDULE[0])),
        "warm-up": partial(problem.model.loss, tokens=problem.warmup_batch(1, 4)),
    }


def trained(problem, config, folder, observe=None):
    """Train from the initial parameters along SCHEDULE."""
    return training.train(
        problem.model,
        training.start_state(problem.model),
        lambda step: problem.batch(SCHEDULE[step]),
        steps=len(SCHEDULE),
        config=config,
        horizon=HORIZON,
        checkpoints=Checkpoints(folder, "key", 2),
        label="test",
        observe=observe,
    )


def test_on_the_cpu_the_loss_equals_that_of_the_module():
    problem = language_problem(dtype=torch.float32)
    model, tokens = problem.model, problem.batch(SCHEDULE[0])
    theta = model.parameters().requires_grad_()
    named = [name for name, p in model.module.named_parameters() if p.requires_grad]
    weights = dict(zip(named, model.split(theta), strict=True))
    expected = next_token_loss(functional_call(model.module, weights, (tokens,)).logits, tokens)
    loss = model.loss(theta, tokens)
    assert torch.equal(loss, expected)
    gradients = [torch.autograd.grad(value, theta)[0] for value in (expected, loss)]
    assert torch.equal(*gradients)
    explicit = language_problem(dtype=torch.float32, device=torch.device("cpu"))
    assert torch.equal(theta, explicit.model.parameters()), "device=cpu changes the model"


def test_module_and_tokens_are_on_the_device_and_vectors_on_the_host(elsewhere):
    model = elsewhere.model
    module = [*model.module.parameters(), *model.module.buffers()]
    assert {tensor.device for tensor in module} == {OTHER}
    assert model.device == OTHER
    for tokens in (elsewhere.batch(SCHEDULE[0]), elsewhere.warmup_batch(1, 4)):
        assert tokens.device == OTHER
    assert model.parameters().device.type == "cpu"


@pytest.mark.parametrize("which", ["unit", "sequences", "held-out", "batch", "warm-up"])
def test_a_loss_is_on_the_device_and_its_derivatives_on_the_host(elsewhere, which):
    loss = losses(elsewhere)[which]
    theta = elsewhere.model.parameters()
    assert gradient(loss, theta).device.type == "cpu"
    point = theta.requires_grad_()
    value = loss(point)
    assert value.device == OTHER
    first, second = torch.autograd.grad(value, point, create_graph=True)[0], torch.ones_like(theta)
    third = torch.autograd.grad(first, point, second, create_graph=True)[0]
    fourth = torch.autograd.grad(third, point, second)[0]
    assert {d.device.type for d in (first, third, fourth)} == {"cpu"}


def test_training_keeps_its_moments_on_the_device_and_returns_states_on_the_host(
    elsewhere, tmp_path, monkeypatch
):
    moments_of_torch, devices, original = [], [], training._optimizer
    monkeypatch.setattr(torch.Tensor, "item", lambda tensor: 1.0)  # fake tensors store no numbers
    monkeypatch.setattr(training, "_check_finite", lambda *arguments: None)
    monkeypatch.setattr(training, "_save", lambda *arguments: None)

    def optimizer(model, moments, *arguments):
        adamw, schedule = original(model, moments, *arguments)
        for parameter in model.trained:
            state = adamw.state[parameter]
            moments_of_torch.extend(state[name] for name in ("exp_avg", "exp_avg_sq"))
        return adamw, schedule

    def observe(theta):
        devices.append(theta.device.type)
        return np.zeros(1)

    monkeypatch.setattr(training, "_optimizer", optimizer)
    result = trained(elsewhere, optimizer_config(gradient_clip=1.0), tmp_path, observe)
    assert {moment.device for moment in moments_of_torch} == {OTHER}, (
        "the update is computed on the host"
    )
    parts = (result.state.parameters, result.state.exp_avg, result.state.exp_avg_sq)
    assert {part.device.type for part in parts} == {"cpu"}
    assert set(devices) == {"cpu"}, "observed parameters are not on the host"


def test_cuda_without_a_gpu_raises(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"device: cuda.*no GPU.*set device to cpu") as caught:
        LanguageProblem.load(
            "corpus.h5", Meter(), "key", model={}, seed=0, threads=1, device="cuda"
        )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("available", "expected"), [(False, "cpu"), (True, "cuda")])
def test_auto_is_the_gpu_if_torch_finds_one(monkeypatch, available, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert resolved("auto") == expected
    assert [resolved(name) for name in ("cpu", "cuda")] == ["cpu", "cuda"]


def test_a_gpu_computes_in_float32_and_deterministically(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    assert prepared("cuda") == torch.device("cuda")
    assert not torch.backends.cuda.matmul.allow_tf32, "products are rounded to TF32"
    assert not torch.backends.cudnn.allow_tf32, "convolutions are rounded to TF32"
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8", "cuBLAS may sum in any order"
    assert torch.are_deterministic_algorithms_enabled()


def test_the_costs_name_the_gpus_of_a_study_if_it_used_any():
    plain, meters = Meter(), [Meter() for _ in range(3)]
    for meter, name in zip(meters, ("B", "A", "B"), strict=True):
        meter.gpu = name
    assert "gpu" not in plain.as_dict(), "a study without a GPU has a key gpu"
    jobs = {"corpus": [plain.as_dict()], "truth": [meter.as_dict() for meter in meters]}
    assert accounting.gpus(jobs) == {"gpus": ["A", "B"]}
    assert accounting.gpus({"corpus": [plain.as_dict()]}) == {}


def test_the_costs_name_every_commit_of_the_model_that_a_job_loaded():
    plain, meters = Meter(), [Meter() for _ in range(3)]
    for meter, commit in zip(meters, ("b" * 40, "a" * 40, "b" * 40), strict=True):
        meter.model_commit = commit
    jobs = {"corpus": [plain.as_dict()], "truth": [meter.as_dict() for meter in meters]}
    assert accounting.model_commits(jobs) == ["a" * 40, "b" * 40]
    assert accounting.model_commits({"corpus": [plain.as_dict()]}) is None


@needs_gpu
@pytest.mark.gpu
def test_derivatives_on_a_gpu_equal_those_on_the_cpu():
    host = language_problem()
    on_gpu = language_problem(device=prepared("cuda"))
    theta = host.model.parameters()
    assert torch.equal(theta, on_gpu.model.parameters()), "the initial model depends on the device"
    generator = torch.Generator().manual_seed(2)
    moves = torch.randn(2, len(theta), dtype=theta.dtype, generator=generator)
    for which, loss in losses(on_gpu).items():
        for order in (0, 1, 2):
            computed = taylor_rows(loss, theta, 0.1 * moves, order)
            expected = taylor_rows(losses(host)[which], theta, 0.1 * moves, order)
            error = relative_error(computed, expected)
            assert error < 1e-10, f"{which}, order {order}: the error of the GPU is {error:.1e}"


@needs_gpu
@pytest.mark.gpu
def test_training_on_a_gpu_is_deterministic_and_equals_that_on_the_cpu(tmp_path):
    ends, config = [], optimizer_config()
    for number, device in enumerate(("cpu", "cuda", "cuda")):
        problem = language_problem(dtype=torch.float32, device=prepared(device))
        result = trained(problem, config, tmp_path / str(number))
        ends.append(result.state.parameters)
    host, first, second = ends
    assert torch.equal(first, second), "two trainings on the GPU differ"
    error = relative_error(first, host)
    assert error < 1e-4, f"the error of the GPU is {error:.1e}"
