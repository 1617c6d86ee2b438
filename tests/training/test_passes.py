"""The weights of the passes are the arithmetic that torch does, and those of the documentation."""

import re
from fractions import Fraction

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from configs import ROOT
from trainorder.config.sections.model import ModelConfig
from trainorder.training.model import LanguageModel
from trainorder.training.passes import PRODUCTS, products

SIZES = [(16, 32, 4, 32), (64, 176, 2, 16)]  # hidden and intermediate size, layers, length


def language_model(hidden, intermediate, layers, length):
    config = ModelConfig(hidden_size=hidden, intermediate_size=intermediate, layers=layers, heads=2)
    return LanguageModel(config, 64, length, 0, torch.float32)


def operations(work):
    """Return the floating-point operations of the matrix products in `work`, as torch counts."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


@pytest.mark.parametrize("sizes", SIZES)
def test_the_weights_are_the_operations_that_torch_counts(sizes):
    hidden, intermediate, layers, length = sizes
    model = language_model(hidden, intermediate, layers, length)
    tokens, theta = torch.randint(64, (3, length)), model.parameters()
    direction = torch.randn_like(theta)

    @torch.no_grad()
    def loss():
        model.loss(theta, tokens)

    def derivative(order):
        point = theta.detach().requires_grad_()
        [result] = torch.autograd.grad(model.loss(point, tokens), point, create_graph=order > 1)
        for n in range(2, order + 1):
            more = n < order
            [result] = torch.autograd.grad(result, point, direction, create_graph=more)

    forward = operations(loss)
    passes = [operations(lambda order=order: derivative(order)) for order in (1, 2, 3)]
    added = [passes[0], passes[1] - passes[0], passes[2] - passes[1]]
    measured = dict(zip(PRODUCTS, [1, *(n / forward for n in added)], strict=True))
    exact = ("losses", "gradients", "hvps")
    assert {kind: measured[kind] for kind in exact} == {kind: PRODUCTS[kind] for kind in exact}
    ratio = measured["third_derivatives"] / PRODUCTS["third_derivatives"]
    assert 1 < ratio < 1.08, "the text says how much attention adds"


def test_a_step_of_real_training_costs_a_gradient():
    model = language_model(16, 32, 2, 16)
    tokens, theta = torch.randint(64, (3, 16)), model.parameters()
    step = operations(lambda: model.module_loss(tokens).backward())
    forward = operations(lambda: model.loss(theta, tokens))
    assert step == products({"gradients": 1}) * forward


def test_the_documentation_states_the_weights():
    page = (ROOT / "docs/method.md").read_text().split("\n## Cost\n")[1]
    rows = re.findall(r"^\| [^|]+ \| (\d+)\b[^\n]* \| ([\d/]+) \|$", page, re.M)
    stated = [(int(number), Fraction(weight)) for number, weight in rows]
    gradient = PRODUCTS["gradients"]
    assert stated == [(n, Fraction(n, gradient)) for n in PRODUCTS.values()]
