"""Gradients and Taylor polynomials equal dense autograd."""

import pytest
import torch
from torch.autograd.function import once_differentiable
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from problems import language_problem, relative_error, taylor_rows
from trainorder.numerics.derivatives import differenced_gradients, gradient, is_twice_differentiable


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


def test_order_0_is_the_gradient_at_the_centre(case):
    loss, theta, d = case
    actual = taylor_rows(loss, theta, d, 0)
    assert all(torch.equal(row, gradient(loss, theta)) for row in actual)


def test_order_1_equals_the_dense_hessian(case):
    loss, theta, d = case
    hessian = torch.autograd.functional.hessian(loss, theta)
    expected = gradient(loss, theta) + d @ hessian
    error = relative_error(taylor_rows(loss, theta, d, 1), expected)
    assert error < 1e-10, f"relative error of Hessian-vector products: {error:.1e}"


def test_order_2_equals_the_dense_third_derivative(case):
    loss, theta, d = case
    hessian = torch.autograd.functional.hessian(loss, theta)
    for row, displacement in zip(taylor_rows(loss, theta, d, 2), d, strict=True):

        def directional_hessian(x, displacement=displacement):
            product = torch.autograd.functional.hvp(loss, x, displacement, create_graph=True)[1]
            return product @ displacement

        third = torch.autograd.functional.jacobian(directional_hessian, theta)
        expected = gradient(loss, theta) + hessian @ displacement + third / 2
        error = relative_error(row, expected)
        assert error < 1e-10, f"relative error of the third derivative: {error:.1e}"


def test_a_zero_displacement_gives_the_gradient_at_every_order(case):
    loss, theta, d = case
    for order in (1, 2):
        actual = taylor_rows(loss, theta, torch.zeros_like(d), order)
        assert relative_error(actual[0], gradient(loss, theta)) < 1e-14


def attention(theta, fused):
    """Return a loss of attention over 6 tokens; the fused kernel has no second derivative."""
    backend = SDPBackend.FLASH_ATTENTION if fused else SDPBackend.MATH
    query, key, value = theta[: 3 * 6 * 8].view(3, 1, 1, 6, 8)
    with sdpa_kernel(backend):
        return scaled_dot_product_attention(query, key, value).sin().sum()


@pytest.mark.parametrize("order", [1, 2])
def test_a_loss_without_second_derivative_uses_differences_and_warns(case, order):
    _, theta, d = case
    with pytest.warns(UserWarning, match="by differences of gradients"):
        actual = taylor_rows(lambda x: attention(x, fused=True), theta, d, order)
    expected = taylor_rows(lambda x: attention(x, fused=False), theta, d, order)
    error = relative_error(actual, expected)
    assert error < 1e-6, f"relative error of differences: {error:.1e}"


def test_other_errors_are_not_mistaken_for_a_missing_derivative(case):
    _, theta, d = case
    with pytest.raises(RuntimeError, match="shape"):
        taylor_rows(lambda x: (x @ torch.ones(3, 4, dtype=x.dtype)).sum(), theta, d, 1)


class Cube(torch.autograd.Function):
    """x^3 whose gradient has no graph, like that of some fused kernels."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        return 3 * x.detach() ** 2 * slope.detach()


class MarkedCube(Cube):
    """The same with `once_differentiable`; torch raises only if no other part has a derivative."""

    backward = staticmethod(once_differentiable(Cube.backward))


LOSSES = {
    "the whole loss": lambda x, cube: cube(x).sum(),
    "a part beside others": lambda x, cube: cube(x).sum() + x.sin().sum(),
    "all within another": lambda x, cube: (cube(x) ** 2).sum(),
    "a part within others": lambda x, cube: (cube(x.sin()) + x**2).sin().sum(),
}


@pytest.mark.parametrize("kernel", [Cube, MarkedCube])
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_part_whose_gradient_has_no_graph_is_detected(name, kernel, dtype):
    generator = torch.Generator().manual_seed(2)
    theta, d = torch.randn(2, 7, generator=generator, dtype=dtype)

    def loss(x, cube=kernel.apply):
        return LOSSES[name](x, cube)

    with pytest.warns(UserWarning, match="by differences of gradients: "):
        assert not is_twice_differentiable(loss, theta)
    true = taylor_rows(lambda x: loss(x, lambda y: y**3), theta, d[None], 1)
    error = relative_error(torch.stack([*differenced_gradients(loss, theta, [d], 1)]), true)
    assert error < 1e-3, f"relative error of differences: {error:.1e}"


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", ["the whole loss", "all within another"])
def test_a_once_differentiable_function_uses_differences_and_warns(name, order):
    theta, d = torch.randn(2, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with pytest.warns(UserWarning, match="by differences of gradients"):
        actual = taylor_rows(lambda x: LOSSES[name](x, MarkedCube.apply), theta, d[None], order)
    expected = taylor_rows(lambda x: LOSSES[name](x, lambda y: y**3), theta, d[None], order)
    error = relative_error(actual, expected)
    assert error < 1e-6, f"relative error of differences: {error:.1e}"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(4))
def test_a_model_with_second_derivative_passes_without_warning(seed):
    problem = language_problem(seed=seed, dtype=torch.float32)
    theta = problem.model.parameters()
    for scale in (0.1, 1.0, 3.0):
        assert is_twice_differentiable(lambda x: problem.loss(x, 1), scale * theta)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kinks_of_a_relu_are_not_reported_as_a_missing_derivative(dtype):
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(40, 8, generator=generator, dtype=dtype)
    theta = torch.randn(8 * 16 + 16, generator=generator, dtype=dtype)

    def loss(theta):
        hidden = (x @ theta[: 8 * 16].view(8, 16)).relu()
        return (hidden @ theta[8 * 16 :]).square().mean()

    assert is_twice_differentiable(loss, theta)
