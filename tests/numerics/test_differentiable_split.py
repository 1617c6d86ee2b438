"""Derivatives through `split` equal those through `torch.split`, at any order."""

import pytest
import torch

from trainorder.numerics import differentiable_split as split
from trainorder.numerics import memory_budget

SIZES = [3, 1, 4]


def loss(whole, divide):
    """Return a loss with mixed third derivatives that does not depend on the second part."""
    first, _, third = divide(whole, SIZES)
    return (first.sum() * third.sin().prod()).exp() + (third**3).sum()


def derivatives(divide):
    """Return the value, the gradient, and the second and third derivatives along a direction."""
    generator = torch.Generator().manual_seed(0)
    point, d = torch.randn(2, 8, generator=generator, dtype=torch.float64)
    point.requires_grad_()
    value = loss(point, divide)
    (first,) = torch.autograd.grad(value, point, create_graph=True)
    (second,) = torch.autograd.grad(first, point, d, create_graph=True)
    (third,) = torch.autograd.grad(second, point, d)
    return [value, first, second, third]


@pytest.mark.parametrize("budget", [0, 10**6])
def test_derivatives_equal_those_of_torch_split(budget, monkeypatch):
    monkeypatch.setattr(memory_budget._Memory, "left", budget)
    for order, (actual, expected) in enumerate(
        zip(derivatives(split.split), derivatives(torch.split), strict=True)
    ):
        assert torch.equal(actual, expected), f"the derivative of order {order} differs"


def test_parts_are_views():
    whole = torch.zeros(8)
    split.split(whole, SIZES)[2].data[0] = 1.0
    assert whole[4] == 1, "the parts are copies"
