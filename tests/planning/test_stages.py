"""What stages count follows from the configuration: sizes, orders, paths, who waits for whom."""

import json
from pathlib import Path

import pytest
import torch

from configs import ROOT, SIZED, config
from trainers import DOMAINS, UNITS, VOCABULARY, token_arrays, write_tokens
from trainorder.config.methods import METHODS
from trainorder.planning.machine_speed import Operation
from trainorder.planning.sizes import Sizes
from trainorder.planning.stages import stages
from trainorder.training.existing_run.checkpoint_files import checkpoint_files


def by_name(configuration):
    return {stage.name: stage for stage in stages(Sizes(configuration))}


@pytest.fixture(autouse=True)
def top(monkeypatch):
    monkeypatch.chdir(ROOT)  # presets name files from there


@pytest.mark.parametrize("name", SIZED)
def test_a_stage_comes_after_every_stage_that_it_waits_for(name):
    seen = set()
    for stage in stages(Sizes(config(name))):
        assert stage.name not in seen, f"{stage.name} is counted twice"
        absent = set(stage.after) - seen
        assert not absent, f"{stage.name} waits for {absent}, which no earlier stage is"
        seen.add(stage.name)


def test_parameters_are_those_of_the_real_model_and_of_the_real_proxy():
    sizes = Sizes(config("smoke"))
    assert sizes.model(narrow=False).size == sizes.P
    assert sizes.model(narrow=True).size == sizes.narrow_P
    assert sizes.narrow_P < sizes.P


def test_a_model_too_large_for_any_memory_is_counted_all_the_same():
    sizes = Sizes(config(model__hidden_size=2**20))
    assert sizes.P * 4 > 10**13
    assert torch.zeros(1).device.type == "cpu", "the meta device is left set"


def test_every_further_random_order_costs_what_any_other_does():
    few, more, most = (by_name(config(orders__random=n)) for n in (40, 50, 60))
    for name in ("truth", "estimate/nystrom@barycentre", "estimate/constant@reference"):
        for kind, n in more[name].counts.items():
            steps = (n - few[name].counts[kind], most[name].counts[kind] - n)
            assert steps[0] == steps[1], f"{name}: {kind} is not linear in the orders"
    assert more["truth"].retrainings - few["truth"].retrainings == 10
    assert more["truth"].bytes > few["truth"].bytes


def test_estimates_of_part_of_the_orders_do_not_grow_with_those_left_out():
    few, more = (by_name(config(orders__random=n))["estimate/taylor1@barycentre"] for n in (40, 60))
    assert few.counts == more.counts


def test_custom_orders_are_counted(tmp_path):
    entries = [{"name": f"mine-{i}", "schedule": list(range(32))} for i in range(3)]
    (tmp_path / "mine.json").write_text(json.dumps({"orders": entries}))
    plain, custom = (
        by_name(config(orders__custom=file)) for file in (None, str(tmp_path / "mine.json"))
    )
    assert custom["truth"].retrainings == plain["truth"].retrainings + 3


def test_what_no_estimator_needs_is_in_no_plan():
    entries = [{"method": "constant", "path": "reference"}]
    names = set(by_name(config(estimators=entries, curriculum=None, memorization=None)))
    assert names == {
        *("corpus", "warm", "orders", "reference", "manifest", "truth"),
        "estimate/constant@reference",
    }


def test_a_table_at_every_step_is_as_many_times_larger():
    given, every = (
        by_name(config(expansion__anchors=anchors))["barycentre"] for anchors in (4, "all")
    )
    assert every.counts["gradients"] == given.counts["gradients"] * 32 / 4
    assert every.counts["sequences"] == 0, "no pools are read where every step is an anchor"


def test_under_sgd_no_replays_show_a_preconditioner():
    left = [e for e in config()["estimators"] if not METHODS[e["method"]].expands_adam]
    adamw, sgd = (
        by_name(config(optimizer__name=name, estimators=left))["reduced/barycentre"]
        for name in ("adamw", "sgd")
    )
    assert sgd.counts == adamw.counts
    assert sgd.work[Operation("product")] < adamw.work[Operation("product")] / 2, (
        "replays are planned"
    )
    assert sgd.bytes < adamw.bytes, "patterns are kept of what never changes"


@pytest.mark.parametrize("name", ["reduced/barycentre", "propose", "probes/barycentre"])
def test_passes_on_as_many_sequences_add_up(name):
    """Units and held-out text of the same size share a unit of work, and both are in it."""
    passes = {}
    for heldout in (24, 64):
        work = by_name(config(corpus__heldout_sequences=heldout))[name].work
        passes[heldout] = sum(n for unit, n in work.items() if unit.sequences)
    assert passes[24] == passes[64]


KEPT = 2  # steps from checkpoint to checkpoint


@pytest.fixture
def given(tmp_path):
    """Return the keys of a study of a run's tokens."""
    write_tokens(tmp_path / "mine.safetensors", token_arrays())
    first = config()["window"]["warmup_steps"]
    kept = range(first, first + UNITS + 1, KEPT)
    for file in map(Path, checkpoint_files(tmp_path, kept)):  # of which only the names are read
        file.parent.mkdir(exist_ok=True)
        file.touch()
    run = {"checkpoints": str(tmp_path), "order": "order.json"}
    entries = [entry for entry in config()["estimators"] if entry["method"] != "proxy"]
    return {
        "corpus__source": "tokens",
        "corpus__files": [str(tmp_path / "mine.safetensors")],
        "window__units": UNITS,
        "run": run,
        "estimators": entries,
    }


def test_domains_and_vocabulary_of_tokens_are_those_of_their_file(given):
    sizes = Sizes(config(**given))
    assert (sizes.domains, sizes.domains_assumed) == (DOMAINS, False)
    assert sizes.vocabulary == VOCABULARY
    assert sizes.pools == [40, 40, 40], "three labels of 3, 2 and 1 units of 64 sequences"


def test_of_an_existing_run_nothing_is_trained_but_the_truth_of_other_orders(given):
    run, none = by_name(config(**given)), by_name(config(**{**given, "run": None}))
    for name, checked in (("warm", 0), ("reference", 2 * KEPT)):
        assert sum(run[name].counts.values()) == checked, f"{name} is planned to train"
        steps = (n for unit, n in run[name].work.items() if unit.kind == "step")
        assert sum(steps) == checked
        assert run[name].bytes == none[name].bytes
    assert run["reference"].retrainings == 0
    for name in ("truth", "position_truth"):
        mine, theirs = run[name], none[name]
        assert mine.retrainings == mine.counts["orders"] == theirs.retrainings - 1
        assert theirs.counts["gradients"] - mine.counts["gradients"] == UNITS
        assert mine.counts["forwards"] - theirs.counts["forwards"] == UNITS, "losses of its steps"
        assert mine.bytes == theirs.bytes
        assert mine.after == ("reference",)
    assert run["candidate_truth"].after == ("propose",)


def test_orders_by_length_are_not_planned_without_text(given):
    found, text = by_name(config(**given)), by_name(config(window__units=UNITS))
    retrained = [study["candidate_truth"].retrainings for study in (found, text)]
    assert retrained[1] - retrained[0] == 2
