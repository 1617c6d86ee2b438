"""The smoke study leaves the rank open, so each round of probing is tried on calibration orders."""

import json

import pytest

from trainorder.evaluation.costs import SELECTION

pytestmark = pytest.mark.study
PATHS = ("barycentre", "reference")


@pytest.mark.parametrize("path", PATHS)
def test_every_level_has_a_larger_rank_a_verdict_and_its_errors(finished, path):
    content = json.loads((finished.results / f"store/{path}/probes.json").read_text())
    levels = content["levels"]
    ranks = [level["rank"] for level in levels]
    assert len(ranks) > 1
    assert ranks == sorted(set(ranks))
    assert ranks[-1] == content["rank"]
    for level in levels:
        assert level["verdict"] in ("trusted", "rank only", "not trusted")
        assert level["order_lds"]["n"] == 10
        assert level["relative_error"] > 0
    assert content["reason"]
    assert content["next"]["precompute_retrainings"] > levels[-1]["precompute_retrainings"]
    log = (finished.results / f"logs/probes-{path}.log").read_text()
    for level in levels:
        stated = f"\nrank {level['rank']}, pools of {level['pool']}, probed at steps"
        assert stated in log.replace("\r", "\n")


@pytest.mark.parametrize("estimator", ["reduced@barycentre", "nystrom-tail1@reference"])
def test_the_last_level_states_the_precompute_of_the_estimator_which_is_within_the_budget(
    finished, estimator
):
    path = estimator.split("@")[1]
    validation = json.loads((finished.results / "validation.json").read_text())
    content = json.loads((finished.results / f"store/{path}/probes.json").read_text())
    cost = validation["estimators"][estimator]["cost"]
    budget = validation["provenance"]["config"]["ladder"]["precompute"]
    stated = content["levels"][-1]["precompute_retrainings"]
    assert cost["precompute_retrainings"] == pytest.approx(stated)
    assert stated <= budget
    record = json.loads((finished.results / f"costs/probes/{path}.json").read_text())
    assert set(record["counts"][SELECTION]) == {"losses"}
    assert cost["selection_retrainings"] > 0
