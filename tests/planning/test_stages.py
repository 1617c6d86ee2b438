"""The stages of a plan follow from the configuration: counts, sizes and dependencies."""

import json
from pathlib import Path

import pytest
import torch

from configs import ROOT, SIZED, config
from trainers import DOMAINS, UNITS, VOCABULARY, token_arrays, write_tokens
from trainorder.config.methods import METHODS
from trainorder.config.sections.curvature import MIN_RANK
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.curriculum.fresh_gains import BEST
from trainorder.curvature.probe_rounds import ProbeRounds
from trainorder.evaluation.costs import precompute_stages
from trainorder.planning.machine_speed import Operation
from trainorder.planning.plan import assumed
from trainorder.planning.planned_rank import curvature_counts, planned_rounds
from trainorder.planning.sizes import Sizes
from trainorder.planning.stages import stages
from trainorder.training.existing_run.checkpoint_files import checkpoint_files


def by_name(configuration):
    return {stage.name: stage for stage in stages(Sizes(configuration))}


@pytest.fixture(autouse=True)
def top(monkeypatch):
    monkeypatch.chdir(ROOT)  # file names in presets are relative to this folder


@pytest.mark.parametrize("name", SIZED)
def test_stages_are_sorted_by_their_dependencies(name):
    seen = set()
    for stage in stages(Sizes(config(name))):
        assert stage.name not in seen, f"{stage.name} is a duplicate"
        missing = set(stage.after) - seen
        assert not missing, f"{stage.name} depends on {missing}, which are not earlier stages"
        seen.add(stage.name)


def test_parameter_counts_equal_those_of_the_real_model_and_proxy():
    sizes = Sizes(config("smoke"))
    assert sizes.model(narrow=False).size == sizes.P
    assert sizes.model(narrow=True).size == sizes.narrow_P
    assert sizes.narrow_P < sizes.P


def test_a_model_that_is_too_large_for_any_memory_can_be_counted():
    sizes = Sizes(config(model__hidden_size=2**20))
    assert sizes.P * 4 > 10**13
    assert torch.zeros(1).device.type == "cpu", "the meta device is still the default"


def test_counts_are_linear_in_the_number_of_random_orders():
    few, more, most = (by_name(config(orders__random=n)) for n in (40, 50, 60))
    for name in ("truth", "estimate/nystrom@barycentre", "estimate/constant@reference"):
        for kind, n in more[name].counts.items():
            differences = (n - few[name].counts[kind], most[name].counts[kind] - n)
            assert differences[0] == differences[1], f"{name}: {kind} is not linear in the orders"
    assert more["truth"].orders - few["truth"].orders == 10
    assert more["truth"].bytes > few["truth"].bytes


def test_jobs_without_an_order_are_not_planned():
    planned = by_name(config(shards__truth=32))
    jobs = {name: planned[name].jobs for name in ("truth", "proxy_orders", "position_truth")}
    assert jobs == {"truth": 32, "proxy_orders": 25, "position_truth": 25}
    assert planned["proxy_orders"].orders == planned["position_truth"].orders == 25


LOW_RANK = EstimatorConfig("reduced", "barycentre")


@pytest.mark.parametrize("budget", [14, 16, 24.5])
def test_the_planned_rank_is_the_largest_within_the_budget(budget):
    configuration = config(ladder__precompute=budget)
    sizes, planned = Sizes(configuration), by_name(configuration)
    gradients = sum(
        planned[name].counts.get("gradients", 0) for name in precompute_stages(LOW_RANK)
    )
    counts, rounds = curvature_counts(sizes, "barycentre"), planned_rounds(sizes, "barycentre")
    # The losses that only the explorer shows are no part of the precompute.
    gradients += counts.reducing - planned["reduced/barycentre"].counts["gradients"]
    more = counts.probing(ProbeRounds(rounds.most + 1, grows=True)) - counts.probing(rounds)
    retraining = sizes.T * sizes.S
    assert gradients / retraining <= budget < (gradients + more) / retraining
    assert (
        f"rank, {rounds.most}, which ladder.precompute allows ({budget:g} ret" in assumed(sizes)[0]
    )


def test_without_a_budget_for_probes_the_plan_states_the_smallest_rank():
    sizes = Sizes(config(ladder__precompute=5))
    assert planned_rounds(sizes, "barycentre").most == MIN_RANK
    assert "other stages alone cost more than 5 retrainings" in assumed(sizes)[0]


def test_each_rank_is_tried_on_enough_calibration_orders_only():
    few, enough = (by_name(config(orders__calibration=n))["probes/barycentre"] for n in (7, 8))
    assert few.counts.get("losses", 0) == few.orders == 0
    assert "truth" not in few.after
    levels = 2  # ranks 63 and the largest
    assert enough.orders == levels * 8
    assert enough.counts["losses"] == levels * 8 * 5 * 24
    assert "truth" in enough.after


def test_losses_at_every_step_are_planned_for_truth_and_estimators_of_parameters_only():
    plain, stepwise = (
        by_name(config("smoke", stepwise_losses=flag, trajectories=3)) for flag in (False, True)
    )
    steps, heldout, followed = 6, 2 * 4, 3
    expected = {
        "truth": followed * (steps + 2),  # two readouts
        "estimate/constant@reference": followed * (steps + 1),
        "estimate/order0@barycentre": followed * (steps + 1),
        "estimate/reduced@barycentre": 0,
        "estimate/ridge": 0,
        "candidate_truth": 0,
    }
    for name, evaluations in expected.items():
        more = stepwise[name].counts.get("losses", 0) - plain[name].counts.get("losses", 0)
        assert more == evaluations * heldout, name


def test_averaged_weights_double_the_evaluations_and_nothing_else():
    plain, averaged = (
        by_name(config("smoke", averaged_states=n, stepwise_losses=False, multiple_choice=None))
        for n in (None, 4)
    )
    assert plain.keys() == averaged.keys()
    heldout = 2 * 4  # sequences: two domains with four each
    for name, readouts in (("truth", 2), ("proxy_orders", 1), ("candidate_truth", 2)):
        more = averaged[name].counts["losses"] - plain[name].counts["losses"]
        assert more == plain[name].orders * readouts * heldout, name
        assert averaged[name].counts["gradients"] == plain[name].counts["gradients"], name
    for name, stage in plain.items():
        if name.startswith("estimate/") and "losses" in stage.counts:
            assert averaged[name].counts["losses"] == 2 * stage.counts["losses"], name
    more = averaged["reduced/barycentre"].counts["gradients"]
    shown = 6  # the explorer shows the losses after every step of the window
    assert more - plain["reduced/barycentre"].counts["gradients"] == shown * heldout
    assert averaged["position_truth"].counts == plain["position_truth"].counts, "maps are averaged"


def test_each_choice_of_a_task_is_one_more_evaluation_of_truth_and_replays():
    plain, asked = (
        by_name(config("smoke", multiple_choice=n, stepwise_losses=False)) for n in (None, 3)
    )
    heldout, changed = 2 * 4, {"truth": 2, "proxy_orders": 1, "candidate_truth": 2}
    for name, stage in plain.items():
        more = asked[name].counts.get("losses", 0) - stage.counts.get("losses", 0)
        if name.startswith(("estimate/", "ladder")):
            assert more == 3 * stage.counts.get("losses", 0), name
        else:
            assert more == stage.orders * changed.get(name, 0) * heldout * 3, name
        assert asked[name].counts.get("gradients") == stage.counts.get("gradients"), name


def test_a_poisoned_unit_is_retrained_at_three_steps_with_each_move():
    clean, other = (
        by_name(config("smoke", window__poisoned=n))["position_truth"].orders for n in (0, 1)
    )
    assert other - clean == 3 * 3


def test_estimates_of_a_subset_do_not_grow_with_the_other_orders():
    few, more = (by_name(config(orders__random=n))["estimate/taylor1@barycentre"] for n in (40, 60))
    assert few.counts == more.counts


def test_custom_orders_are_counted(tmp_path):
    entries = [{"name": f"custom-{i}", "schedule": list(range(32))} for i in range(3)]
    (tmp_path / "custom.json").write_text(json.dumps({"orders": entries}))
    plain, custom = (
        by_name(config(orders__custom=file)) for file in (None, str(tmp_path / "custom.json"))
    )
    assert custom["truth"].orders == plain["truth"].orders + 3


def test_stages_that_no_estimator_needs_are_not_planned():
    entries = [{"method": "constant", "path": "reference"}]
    names = set(by_name(config(estimators=entries, curriculum=None, memorization=None)))
    assert names == {
        *("corpus", "warm", "orders", "predictability", "reference", "manifest", "truth"),
        "estimate/constant@reference",
    }


def test_known_runs_add_bytes_and_waiting_but_no_passes():
    keys = {"curriculum": None, "memorization": None}
    corrected = {"method": "corrected", "path": "reference", "size": 4}
    plain, recorded = (
        by_name(config(estimators=[corrected | {"runs": runs}], **keys)) for runs in (0, 8)
    )
    assert recorded["truth"].counts == plain["truth"].counts
    assert recorded["truth"].after == ("orders", "residuals")
    assert "truth" in recorded["manifest"].after
    assert "truth" not in plain["manifest"].after
    added = recorded["truth"].bytes - plain["truth"].bytes
    assert added == 8 * plain["residuals"].bytes
    assert recorded["residuals"] == plain["residuals"]
    estimates = [
        plain["estimate/corrected4@reference"],
        recorded["estimate/corrected4-runs8@reference"],
    ]
    assert estimates[0].counts == estimates[1].counts
    assert estimates[1].rows > estimates[0].rows


def test_the_number_of_gradients_is_proportional_to_the_number_of_anchors():
    few, every = (
        by_name(config(expansion__anchors=anchors))["barycentre"] for anchors in (4, "all")
    )
    assert every.counts["gradients"] == 32 * 32 * 64, "pools are read, but every step is an anchor"
    sizes = Sizes(config(expansion__anchors=4))
    pooled = sizes.T * sum(sizes.pools)
    assert few.counts["gradients"] == 4 * 32 * 64 + pooled


def test_under_sgd_no_replays_measure_the_preconditioner():
    entries = [e for e in config()["estimators"] if not METHODS[e["method"]].expands_adam]
    adamw, sgd = (
        by_name(config(optimizer__name=name, estimators=entries))["reduced/barycentre"]
        for name in ("adamw", "sgd")
    )
    assert sgd.counts == adamw.counts
    assert sgd.work[Operation("product")] < adamw.work[Operation("product")] / 2, (
        "replays are planned"
    )
    assert sgd.bytes < adamw.bytes, "a constant preconditioner is stored"


@pytest.mark.parametrize("name", ["reduced/barycentre", "propose", "probes/barycentre"])
def test_passes_on_the_same_number_of_sequences_add_up(name):
    """Units and held-out text of the same size share an operation, which counts both."""
    passes = {}
    for heldout in (24, 64):
        values = {"corpus__heldout_sequences": heldout, "curvature__rank": 96}
        work = by_name(config(**values))[name].work
        passes[heldout] = sum(n for unit, n in work.items() if unit.sequences)
    assert passes[24] == passes[64]


INTERVAL = 2  # steps between checkpoints


@pytest.fixture
def run_keys(tmp_path):
    """Return the configuration keys of a study of an existing run."""
    write_tokens(tmp_path / "run.safetensors", token_arrays())
    first = config()["window"]["warmup_steps"]
    steps = range(first, first + UNITS + 1, INTERVAL)
    for file in map(Path, checkpoint_files(tmp_path, steps)):  # the plan reads only the names
        file.parent.mkdir(exist_ok=True)
        file.touch()
    run = {"checkpoints": str(tmp_path), "order": "order.json"}
    entries = [entry for entry in config()["estimators"] if entry["method"] != "proxy"]
    return {
        "corpus__source": "tokens",
        "corpus__files": [str(tmp_path / "run.safetensors")],
        "window__units": UNITS,
        "run": run,
        "estimators": entries,
    }


def test_domains_and_vocabulary_are_read_from_the_tokens_file(run_keys):
    sizes = Sizes(config(**run_keys))
    assert (sizes.domains, sizes.domains_assumed) == (DOMAINS, False)
    assert sizes.vocabulary == VOCABULARY
    assert sizes.pools == [20, 20, 20], "labels with 3, 2 and 1 units of 64 sequences"


def test_with_an_existing_run_only_missing_states_and_other_orders_are_trained(run_keys):
    run, none = by_name(config(**run_keys)), by_name(config(**{**run_keys, "run": None}))
    for name, checked in (("warm", INTERVAL), ("reference", UNITS)):
        assert sum(run[name].counts.values()) == checked * 64, f"{name} is planned to train"
        steps = (n for unit, n in run[name].work.items() if unit.kind == "step")
        assert sum(steps) == checked
        assert run[name].bytes == none[name].bytes
    for name in ("truth", "position_truth"):
        with_run, trained = run[name], none[name]
        assert with_run.orders == trained.orders - 1
        assert trained.counts["gradients"] - with_run.counts["gradients"] == UNITS * 64
        losses = with_run.counts["losses"] - trained.counts["losses"]
        assert losses == UNITS * 64, "the losses of the steps of the run are not counted"
        assert with_run.bytes == trained.bytes
        assert "reference" in with_run.after
    assert run["candidate_truth"].after == ("propose",)


def test_families_of_the_literature_are_planned_as_retrained_orders():
    families = ["balanced", "patterns", "last-domain", "worst"]
    plain, more = (
        by_name(config("smoke", curriculum__literature=chosen)) for chosen in ([], families)
    )
    further = 2 + 3 + 1 + 1  # the smoke study has two domains
    assert more["candidate_truth"].orders - plain["candidate_truth"].orders == further
    assert more["propose"].counts["losses"] > plain["propose"].counts["losses"]


def test_a_search_by_steps_is_planned_within_its_budget():
    options = {"curriculum__method": "steps", "curriculum__retrainings": 7.5}
    planned = by_name(config("smoke", **options))
    assert planned["step_search"].orders == 8
    assert planned["candidate_truth"].after == ("step_search",)
    assert "step_search" not in by_name(config("smoke"))


def test_fresh_retrainings_are_planned_with_their_warm_up():
    planned = by_name(config("smoke", curriculum__fresh=4))
    assert planned["fresh_truth"].orders == 3 * (4 + BEST + 2), "random, best and searched orders"
    assert planned["fresh_warm"].counts["gradients"] == 2 * planned["warm"].counts["gradients"]
    assert "fresh_truth" not in by_name(config("smoke"))


def test_orders_by_length_are_not_planned_without_text(run_keys):
    tokens, text = by_name(config(**run_keys)), by_name(config(window__units=UNITS))
    retrained = [study["candidate_truth"].orders for study in (tokens, text)]
    assert retrained[1] - retrained[0] == 2
