"""Gradients and Taylor polynomials equal dense autograd."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from problems import language_problem, relative_error, taylor_rows
from trainorder.derivatives import gradient


@pytest.fixture(scope="module")
def case():
    problem = language_problem()

    def loss(theta):
        return problem.loss(theta, 1)

    theta = problem.model.parameters()
    generator = torch.Generator().manual_seed(1)
    d = 0.1 * torch.randn(3, problem.size, generator=generator, dtype=torch.float64)
    return loss, theta, d


def test_gradient_equals_central_differences(case):
    loss, theta, d = case
    step = 1e-5
    slope = (loss(theta + step * d[0]) - loss(theta - step * d[0])) / (2 * step)
    assert float(gradient(loss, theta) @ d[0]) == pytest.approx(float(slope), rel=1e-8)


def test_order_0_is_the_gradient_whatever_the_displacement(case):
    loss, theta, d = case
    found = taylor_rows(loss, theta, d, 0)
    assert all(torch.equal(row, gradient(loss, theta)) for row in found)


def test_order_1_equals_the_dense_hessian(case):
    loss, theta, d = case
    hessian = torch.autograd.functional.hessian(loss, theta)
    expected = gradient(loss, theta) + d @ hessian
    error = relative_error(taylor_rows(loss, theta, d, 1), expected)
    assert error < 1e-10, f"Hessian-vector products are off by {error:.1e}"


def test_order_2_equals_the_dense_third_derivative(case):
    loss, theta, d = case
    hessian = torch.autograd.functional.hessian(loss, theta)
    for row, displacement in zip(taylor_rows(loss, theta, d, 2), d, strict=True):

        def bent(x, displacement=displacement):
            product = torch.autograd.functional.hvp(loss, x, displacement, create_graph=True)[1]
            return product @ displacement

        third = torch.autograd.functional.jacobian(bent, theta)
        expected = gradient(loss, theta) + hessian @ displacement + third / 2
        error = relative_error(row, expected)
        assert error < 1e-10, f"the third derivative is off by {error:.1e}"


def test_at_the_centre_every_order_is_the_gradient(case):
    loss, theta, d = case
    for order in (1, 2):
        found = taylor_rows(loss, theta, torch.zeros_like(d), order)
        assert relative_error(found[0], gradient(loss, theta)) < 1e-14


def attention(theta, fused):
    """A loss of attention over 6 tokens; torch has no second derivative of the fused kernel."""
    backend = SDPBackend.FLASH_ATTENTION if fused else SDPBackend.MATH
    query, key, value = theta[: 3 * 6 * 8].view(3, 1, 1, 6, 8)
    with sdpa_kernel(backend):
        return scaled_dot_product_attention(query, key, value).sin().sum()


@pytest.mark.parametrize("order", [1, 2])
def test_a_loss_that_cannot_be_differentiated_twice_is_differenced_with_a_warning(case, order):
    _, theta, d = case
    with pytest.warns(UserWarning, match="by differences of gradients"):
        found = taylor_rows(lambda x: attention(x, fused=True), theta, d, order)
    expected = taylor_rows(lambda x: attention(x, fused=False), theta, d, order)
    error = relative_error(found, expected)
    assert error < 1e-6, f"differences are off by {error:.1e}"


def test_a_failure_of_another_kind_is_not_taken_for_a_missing_derivative(case):
    _, theta, d = case
    with pytest.raises(RuntimeError, match="shape"):
        taylor_rows(lambda x: (x @ torch.ones(3, 4, dtype=x.dtype)).sum(), theta, d, 1)
