"""Orders with a common prefix are differentiated once, and each gets its own result."""

import pytest
import torch

from problems import (
    expansion,
    ignore,
    language_problem,
    optimizer_config,
    torch_states,
    warm_state,
)
from trainorder.estimators.order0 import Order0
from trainorder.expansion.replay import alike_until

REFERENCE = [[0, 3], [1, 4], [2, 5]]
ORDERS = [  # the first two share two steps, and the third one step with them
    [[5, 2], [0, 4], [1, 3]],
    [[5, 2], [0, 4], [3, 1]],
    [[5, 2], [1, 4], [0, 3]],
    [[1, 4], [0, 4], [1, 3]],
]
SHARED_STEPS = 2 + 3 + 4  # different prefixes of one, two and three steps


@pytest.mark.parametrize("seed", range(5))
def test_alike_orders_are_those_with_equal_prefixes_and_kinds(seed):
    random = torch.Generator().manual_seed(seed)
    schedules = torch.randint(3, (9, 4, 1), generator=random)
    kinds = torch.randint(2, (9, 2), generator=random)
    alike = alike_until(schedules, kinds)

    def prefix(order, t):
        return schedules[order, : t + 1].flatten().tolist(), kinds[order].tolist()

    for t in range(4):
        for order in range(9):
            equal = [other for other in range(9) if prefix(other, t) == prefix(order, t)]
            assert alike[t, order] == min(equal), f"step {t}, order {order}"


def test_a_common_prefix_is_differentiated_once_and_changes_no_result(tmp_path):
    problem, config = language_problem(), optimizer_config()
    warm = warm_state(problem, problem.model.parameters(), config)
    states = torch_states(problem, warm, REFERENCE, config)
    with expansion(problem, states, config, tmp_path) as about:
        estimator = Order0(about)
        estimator.tail = len(REFERENCE)  # true gradients at every step

        def replayed(orders):
            before = problem.meter.total["gradients"]
            ends = estimator.replay(torch.tensor(orders), ignore).clone()
            return ends, problem.meter.total["gradients"] - before

        together, shared = replayed(ORDERS)
        alone = [replayed([order]) for order in ORDERS]
    for row, (end, _) in zip(together, alone, strict=True):
        assert torch.equal(row, end[0]), "an order got the gradients of another one"
    of_one = alone[0][1] // len(REFERENCE)
    assert shared == SHARED_STEPS * of_one, "a common prefix was differentiated more than once"
