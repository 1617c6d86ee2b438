"""Products with the Hessian equal those of the dense matrix."""

from functools import partial

import pytest
import torch

from problems import Polynomial, relative_error
from trainorder.numerics.hessian import differenced_products, exact_products


@pytest.mark.parametrize(
    ("products", "tolerance"), [(exact_products, 1e-12), (differenced_products, 1e-6)]
)
def test_products_equal_those_of_the_dense_hessian(products, tolerance):
    problem = Polynomial(2, degree=3)
    loss = partial(problem.loss, unit=1)
    dense = torch.autograd.functional.hessian(loss, problem.start)
    directions = torch.cat([1e-3 * torch.eye(5), 1e3 * torch.ones(1, 5), torch.zeros(1, 5)])
    rows = torch.stack([*products(loss, problem.start, directions.double())])
    assert relative_error(rows, directions.double() @ dense) < tolerance


def test_the_gradient_is_computed_once_for_all_directions():
    problem = Polynomial(2)
    [*exact_products(partial(problem.loss, unit=1), problem.start, torch.eye(5).double())]
    assert problem.meter.total["gradients"] == problem.sequences
