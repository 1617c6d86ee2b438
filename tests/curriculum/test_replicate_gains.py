"""Studies that differ only in their seeds form one group."""

import pytest

from trainorder.curriculum.replicate_gains import collect


def study(name, gain, schedule="cosine", rate=0.002, method="global", fresh=()):
    gains = {key: {"value": gain, "in_spreads": gain * 2} for key in ("random_mean", "field")}
    gains["same_compute"] = {"value": -gain, "in_spreads": -gain}
    config = {
        "optimizer": {"schedule": schedule, "learning_rate": rate},
        "curriculum": {"method": method},
        "seeds": {"init": 0},
    }
    kinds = ("random_mean", "same_compute")
    draws = [
        {"init": init, "gains": {kind: {"value": gain, "in_spreads": 3 * gain} for kind in kinds}}
        for init, gain in fresh
    ]
    return {
        "study": name, "verdicts": {}, "gains": gains, "provenance": {"config": config},
        "fresh": draws, "compute": {"total_retrainings": 30.0}, "winner": "genetic",
        "random": {"mean": 5.0, "std": 0.5},
        "orders": [
            {"name": "genetic", "kind": "searched", "true": 5 - gain},
            {"name": "assignment", "kind": "searched", "true": 5.0},
            {"name": "zigzag", "kind": "field", "true": 4.5},
            {"name": "folded", "kind": "field", "true": None},
        ],
    }  # fmt: skip


def maps(value, **more):
    lives = {"all": value, **more}
    return {
        "forgetting": {name: {"half_life": {"value": life}} for name, life in lives.items()},
        "agreement": {"own": {"swap": {"value": 0.0}, "presence": {"value": value / 10}}},
    }


STUDIES = [
    study("a", 1.0),
    study("b", 2.0),
    study("c", 3.0),
    study("d", 1.0, "constant"),
    study("e", 1.0, rate=0.001),
]


def test_groups_are_named_by_their_differences():
    groups = collect(STUDIES, [maps(i) for i in range(5)], 0.95)
    assert list(groups) == ["cosine", "constant", "cosine, rate 0.001"]
    assert groups["cosine"]["studies"] == ["a", "b", "c"]
    assert groups["cosine"]["half_lives"] == {"all": [0, 1, 2]}, "half-lives of other studies"
    assert groups["cosine"]["agreement"] == {"own": [0.0, 0.1, 0.2]}, "another map than presence"


def test_a_domain_without_units_has_no_half_life():
    groups = collect(STUDIES[:2], [maps(1, code=2), maps(3)], 0.95)
    assert groups["cosine"]["half_lives"] == {"all": [1, 3], "code": [2, None]}


def test_the_interval_is_student_s_over_studies():
    gain = collect(STUDIES, [], 0.95)["cosine"]["gains"]["random_mean"]
    assert gain["values"] == [1.0, 2.0, 3.0]
    assert gain["value"] == 2.0
    assert gain["high"] - gain["value"] == pytest.approx(4.302653 / 3**0.5, rel=1e-6)


def test_one_study_has_no_interval():
    gain = collect(STUDIES, [], 0.95)["constant"]["gains"]["field"]
    assert (gain["value"], gain["low"], gain["high"], gain["n"]) == (1.0, None, None, 1)


def test_another_method_of_the_search_is_another_group():
    groups = collect([*STUDIES, study("f", 1.0, method="steps")], [], 0.95)
    assert [*groups][-1] == "cosine, search: steps"


def test_another_budget_of_the_search_is_another_group():
    studies = [study(name, 1.0, method="steps") for name in "abc"]
    studies[2]["provenance"]["config"]["curriculum"]["retrainings"] = 24.0
    groups = collect(studies, [], 0.95)
    assert {name: one["studies"] for name, one in groups.items()} == {
        "cosine": ["a", "b"],
        "cosine, budget 24": ["c"],
    }


def test_a_study_counts_once_in_fresh_retrainings():
    studies = [
        study(name, 1.0, fresh=[(0, 0.1), (7, i), (8, i + 2)]) for i, name in enumerate("ab")
    ]
    fresh = collect(studies, [], 0.95)["cosine"]["fresh"]
    assert fresh["text"]["same_compute"]["values"] == pytest.approx([0.1, 0.1])
    assert fresh["weights"]["same_compute"]["values"] == [1.0, 2.0], "draws count as studies"
    assert fresh["weights"]["random_mean"]["in_spreads"] == [3.0, 6.0]
    assert collect(STUDIES, [], 0.95)["cosine"]["fresh"] == {}


def test_heuristic_orders_stand_beside_the_winners_in_spreads():
    orders = collect(STUDIES, [], 0.95)["cosine"]["orders"]
    assert orders == {"winner": [2.0, 4.0, 6.0], "zigzag": [1.0] * 3}


def test_studies_with_fewer_fresh_random_orders_than_their_compute_retrains_are_told():
    studies = [study(name, 1.0, fresh=[(0, 0.1), (7, 1.0)]) for name in "ab"]
    for one, had in zip(studies, (30, 16), strict=True):
        for draw in one["fresh"]:
            draw["compute"] = {"random_orders_for_it": 30, "random_orders_had": had}
    [line] = collect(studies, [], 0.95)["cosine"]["fresh_shortfalls"]
    assert line.startswith("b: the baseline")
    assert "16 random orders, not of 30" in line
