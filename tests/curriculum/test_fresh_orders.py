"""`scripts/fresh_orders.py` lists the searched orders, and the random orders of the baselines."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import synthetic
from trainorder.curriculum.candidates_file import FIELD, SEARCHED
from trainorder.curriculum.fresh_gains import BEST, fresh_gains
from trainorder.storage.sealed_hdf5 import read_arrays, write_arrays

SCRIPT = Path(__file__).parents[2] / "scripts/fresh_orders.py"
RANDOM, CALIBRATION, FIT = 10, 7, 6  # orders of each split of random orders
SAMPLE = 3
# The best random orders of the study, best first: of every split, and mostly outside the sample.
BEST_NAMES = [
    *("fit-0004", "random-0007", "calibration-0002", "fit-0001"),
    *("random-0001", "calibration-0006", "random-0009", "calibration-0000"),
]


@pytest.fixture
def study(tmp_path):
    """Return a study of real files in which the orders of `BEST_NAMES` have the lowest losses."""
    made = synthetic.make(tmp_path, random=RANDOM, calibration=CALIBRATION, fit=FIT)
    # Heuristic orders and the reference are better still, but no random orders.
    ranked = ["reversed", "block-2", "reference", *BEST_NAMES]
    set_losses(made, "heldout", {name: 1 + place for place, name in enumerate(ranked)})
    records = json.loads((made.results / "orders.json").read_text())["orders"]
    candidates = [
        {**records[-1 - place], "name": name, "kind": kind, "split": "curriculum", "estimates": {}}
        for place, (name, kind) in enumerate(
            [("genetic", SEARCHED), ("sorted", FIELD), ("steps-1", SEARCHED)]
        )
    ]
    (made.results / "candidates.json").write_text(json.dumps({"orders": candidates}))
    return made


def set_losses(made, metric, losses, others=50.0):
    """Give orders these true losses, and all other orders a higher one."""
    column = synthetic.METRICS.index(metric)
    for path in made.inputs.truth:
        arrays = read_arrays(path, synthetic.KEY, "truth")
        for name in ("order", "metric", "trajectory_order"):
            arrays[name] = arrays[name].tolist()  # texts are written from a list
        for row, name in enumerate(arrays["order"]):
            loss = losses.get(name, others + row)
            arrays["value"][row, column] = arrays["along"][row, :, column] = loss
        write_arrays(path, synthetic.KEY, arrays)


def listed(made, *, truth=None, sample=SAMPLE, objective="heldout"):
    """Run the script as a job by hand; return the bytes of what it writes, and their content."""
    output = made.results / "fresh.json"
    job = {
        "input": {
            "orders": made.inputs.orders,
            "candidates": str(made.results / "candidates.json"),
            "truth": truth or made.inputs.truth,
        },
        "output": {"orders": str(output)},
        "params": {"random": sample, "objective": {objective: 1.0}, "key": synthetic.KEY},
    }
    (made.results / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(made.results / "job.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return output.read_bytes(), json.loads(output.read_text())


def names(content):
    return [record["name"] for record in content["orders"]]


def test_the_best_random_orders_of_every_split_are_retrained_beside_a_sample(study):
    assert len(BEST_NAMES) == BEST
    _, content = listed(study)
    assert content["sample"] == [f"random-{i:04d}" for i in range(SAMPLE)], (
        "the sample, whose mean is a baseline, is not the first held-back orders"
    )
    random = set(names(content)) - {"genetic", "steps-1"}
    assert random == {*BEST_NAMES, *content["sample"]}


def test_every_searched_order_is_retrained_and_no_heuristic_one(study):
    """The winner is one of the searched orders; it is known only after this job."""
    _, content = listed(study)
    assert names(content)[:2] == ["genetic", "steps-1"]
    assert not {"sorted", "reversed", "block-2", "reference"} & {*names(content)}


def test_each_order_is_listed_once_with_its_own_schedule(study):
    assert "random-0001" in BEST_NAMES, "no order is both one of the best and in the sample"
    _, content = listed(study)
    assert len(names(content)) == len({*names(content)}), "an order is retrained twice"
    records = json.loads((study.results / "orders.json").read_text())["orders"]
    searched = json.loads((study.results / "candidates.json").read_text())["orders"]
    schedules = {record["name"]: record["schedule"] for record in [*records, *searched]}
    for record in content["orders"]:
        assert record["schedule"] == schedules[record["name"]]


def test_the_list_does_not_depend_on_the_sequence_of_the_shards(study):
    first, _ = listed(study)
    again, _ = listed(study, truth=study.inputs.truth[::-1])
    assert again == first


def test_the_best_are_those_by_the_objective_of_the_search(study):
    others = [f"fit-{i:04d}" for i in range(FIT)] + ["random-0003", "random-0005"]
    set_losses(study, "heldout/drama", dict.fromkeys(others, 1.0))
    _, content = listed(study, objective="heldout/drama")
    assert set(names(content)) == {"genetic", "steps-1", *others, *content["sample"]}


def test_a_sample_as_large_as_the_held_back_orders_leaves_the_best_of_the_others(study):
    _, content = listed(study, sample=RANDOM)
    held_back = {f"random-{i:04d}" for i in range(RANDOM)}
    assert {*content["sample"]} == held_back
    assert set(names(content)) == {"genetic", "steps-1", *held_back, *BEST_NAMES}


def test_the_baseline_of_a_large_compute_is_the_best_order_of_the_study(study):
    """Its fresh result is needed: without it, a worse order would be the baseline."""
    _, content = listed(study)
    records = json.loads((study.results / "orders.json").read_text())["orders"]
    random = [record["name"] for record in records if record["kind"] == "random"]
    true = {name: BEST_NAMES.index(name) if name in BEST_NAMES else 60.0 for name in random}
    fresh = {name: 10.0 + place for place, name in enumerate(names(content))}
    gains = fresh_gains(fresh, true, "genetic", random, content["sample"], len(random))
    assert len(random) == RANDOM + CALIBRATION + FIT
    best = fresh[BEST_NAMES[0]] - fresh["genetic"]
    assert gains["gains"]["same_compute"]["value"] == pytest.approx(best)
