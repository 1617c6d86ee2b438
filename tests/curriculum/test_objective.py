"""An objective is the weighted sum of the metrics that it names."""

import numpy as np
import pytest

from trainorder.curriculum.objective import Objective
from trainorder.errors import UserError

METRICS = ["heldout", "heldout/sea", "heldout/land"]


def test_weights_are_those_of_the_named_metrics_whatever_their_order():
    values = np.array([[2.0, 1.0, 3.0], [5.0, 4.0, 6.0]])
    objective = Objective({"heldout/land": 0.5, "heldout": 2.0})
    assert np.allclose(objective.of(METRICS, values), [5.5, 13.0])


def test_heldout_is_the_mean_of_the_domains():
    domains = np.array([[1.0, 3.0], [4.0, 6.0]])
    assert np.allclose(Objective({"heldout": 1.0}).of_domains(["sea", "land"], domains), [2, 5])
    mixed = Objective({"heldout": 1.0, "heldout/sea": -1.0})
    assert np.allclose(mixed.of_domains(["sea", "land"], domains), [1, 1])


def test_averaged_metrics_are_those_of_the_second_half_of_the_losses():
    losses = np.array([[1.0, 3.0, 10.0, 30.0], [4.0, 6.0, 40.0, 60.0]])
    objective = Objective({"averaged_heldout": 1.0, "averaged_heldout/sea": 1.0, "heldout": 1.0})
    assert np.allclose(objective.of_domains(["sea", "land"], losses), [32, 95])


def test_averaged_metrics_need_averaged_weights():
    with pytest.raises(UserError, match=r"no metric `averaged_heldout`.*heldout/sea"):
        Objective({"averaged_heldout": 1.0}).of_domains(["sea", "land"], np.zeros((1, 2)))


def test_an_unknown_metric_raises_one_line_with_the_known_metrics():
    with pytest.raises(UserError, match=r"no metric `heldout/sky`.*heldout/sea, heldout/land"):
        Objective({"heldout/sky": 1.0}).of(METRICS, np.zeros((1, 3)))


def test_an_objective_tells_whether_it_needs_averaged_weights():
    assert Objective({"heldout": 1.0, "averaged_heldout/code": 0.5}).reads_averages
    assert not Objective({"heldout/code": 1.0}).reads_averages
