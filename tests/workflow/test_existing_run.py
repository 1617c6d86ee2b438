"""An existing run as the reference, with all checkpoints or a few: its states and estimates."""

import json
import shutil
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from configs import config
from trainers import (
    HELDOUT,
    LENGTH,
    UNIT_SIZE,
    UNITS,
    VOCABULARY,
    token_arrays,
    train,
    write_tokens,
)
from trainorder.config.sections.model import ModelConfig
from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.orders.order_book import OrderBook
from trainorder.planning.sizes import Sizes
from trainorder.planning.stages import stages
from trainorder.storage.sealed_hdf5 import read_arrays
from trainorder.training.checkpoints import read_state
from trainorder.training.meter import Meter
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import MOMENTS, AdamW
from trainorder.training.problem import LanguageProblem
from workflow_tree import Tree, assert_one_line, by_hand, work_tree

pytestmark = pytest.mark.study
WARMUP, KEY = 4, "0123456789abcdef"
MODEL = {"hidden_size": 8, "intermediate_size": 12, "layers": 1, "heads": 2}
OPTIMIZER = {"linear_warmup_steps": 2, "horizon": 30, "weight_decay": 0.1}
WINDOW = {"warmup_steps": WARMUP, "units": UNITS, "unit_size": UNIT_SIZE, "poisoned": 0}
METHODS = ["order0", "taylor1"]


def settings():
    """Return a configuration with the sizes of `trainers`."""
    sections = config("smoke")
    sections["corpus"] |= {
        "source": "tokens", "files": ["tokens.safetensors"], "sequence_length": LENGTH,
        "heldout_sequences": HELDOUT, "domains": None,
    }  # fmt: skip
    for name, changes in (("model", MODEL), ("optimizer", OPTIMIZER), ("window", WINDOW)):
        sections[name] |= changes
    sections["multiple_choice"] = None  # the losses are compared with those of the run
    return sections


class ByHand:
    """A study whose jobs are run one by one, with or without an existing run."""

    def __init__(self, root, run=None):
        self.tree, self.settings, self.run = Tree(root), settings(), run
        (root / "results").mkdir(exist_ok=True)
        self.problem = {"key": KEY, "model": self.settings["model"], "seed": 0, "threads": 1}

    def job(self, script, inputs, outputs, **params):
        names = {name: f"results/{name}.{kind}" for name, kind in outputs.items()}
        given = {"problem": self.problem, "key": KEY, "run": self.run, "work": "work", "code": "c"}
        sections = {name: self.settings[name] for name in ("window", "optimizer")}
        record = {"input": inputs, "output": names, "params": {**given, **sections, **params}}
        return by_hand(self.tree, script, record)

    def file(self, name):
        return str(self.tree.root / "results" / name)

    def losses(self, parameters):
        """Return the held-out losses at some parameters."""
        problem = LanguageProblem.load(self.file("corpus.h5"), Meter(), **self.problem)
        return problem.evaluate(parameters)

    def corpus(self):
        return self.job(
            "corpus", {}, {"corpus": "h5", "summary": "json"}, corpus=self.settings["corpus"],
            seed=0, domains=[], warmup=self.run is None,
        )  # fmt: skip

    def warm(self):
        script = "existing_run_start" if self.run else "warm"
        inputs = {
            "corpus": self.file("corpus.h5"),
            **({"order": self.run["order"]} if self.run else {}),
        }
        return self.job(script, inputs, {"warm": "h5"}, checkpoint_every=100)

    def orders(self):
        inputs = {name: self.file(f"{name}.h5") for name in ("corpus", "warm")}
        inputs["reference"] = self.run["order"] if self.run else []
        orders = {**self.settings["orders"], "fit": 0}
        return self.job("orders", inputs, {"orders": "json"}, orders=orders, seed=0, study="s")

    def reference(self):
        inputs = {name: self.file(f"{name}.h5") for name in ("corpus", "warm")}
        inputs["orders"] = self.file("orders.json")
        script = "existing_run_path" if self.run else "reference"
        outputs = {"path": "h5", **({"verification": "json"} if self.run else {})}
        return self.job(script, inputs, outputs, anchors=None)

    def predictability(self):
        """Return the content of `predictability.json`."""
        inputs = {name: self.file(f"{name}.h5") for name in ("corpus", "warm")}
        inputs |= {"orders": self.file("orders.json")}
        inputs |= {"path": [] if self.run else self.stored_path()}
        done(self.job("predictability", inputs, {"predictability": "json"}, confidence=0.9, seed=0,
                      study="s", checkpoint_every=100, work="predictability-work"))  # fmt: skip
        return json.loads(Path(self.file("predictability.json")).read_text())

    def truth(self, shards, readouts=1):
        inputs = {name: self.file(f"{name}.h5") for name in ("corpus", "warm")}
        inputs |= {"orders": self.file("orders.json"), "path": self.stored_path()}
        return self.job(
            "truth", inputs, {"truth": "h5", "cost": "json"}, start="warm", bounds=None,
            readouts=readouts, averaged_states=None, sketch_rows=16, checkpoint_every=100,
            trajectories=0, stepwise_losses=False, shard=0, shards=shards, work="truth-work",
        )  # fmt: skip

    def stored_path(self):
        """Copy the path to its place in a store, and return the file."""
        folder = self.tree.root / "results/reference"
        folder.mkdir(exist_ok=True)
        return str(shutil.copy(self.file("path.h5"), folder / "path.h5"))

    @cached_property
    def estimates(self):
        """The estimated held-out losses (O, M) of the orders, by method."""
        folder = self.tree.root / "results/reference"
        self.stored_path()
        corpus = {"corpus": self.file("corpus.h5")}
        path = "results/reference/path.h5"  # relative, as in a manifest
        done(self.job("table", {**corpus, "path": path}, {"table": "h5"}, shard=0, shards=1))
        shutil.move(self.file("table.h5"), folder / "table-0.h5")
        shards = {"paths": [path], "tables": ["results/reference/table-0.h5"]}
        done(self.job("manifest", shards, {"manifest": "json"}))
        inputs = {**corpus, "warm": self.file("warm.h5"), "orders": self.file("orders.json"),
                  "manifest": self.file("manifest.json"), "ladder": []}  # fmt: skip
        values = {}
        for method in METHODS:
            entry = {"method": method, "path": "reference"}
            done(self.job("estimate", inputs, {"estimate": "h5"}, estimator=entry, seed=0,
                          averaged_states=None, trajectories=0, stepwise_losses=False,
                          sketch_rows=16, shard=0, shards=1))  # fmt: skip
            values[method] = read_arrays(self.file("estimate.h5"), KEY, "estimate")["value"]
        return values


def done(ended):
    assert ended.code == 0, ended.error


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a study that trains its own reference."""
    root = tmp_path_factory.mktemp("trained")
    write_tokens(root / "tokens.safetensors", token_arrays(WARMUP * UNIT_SIZE))
    study = ByHand(root)
    for job in (study.corpus, study.warm, study.orders, study.reference):
        done(job())
    return study


@pytest.fixture(scope="module")
def ran(trained, tmp_path_factory):
    """Return a function that returns a study of an existing run, and the states of the run.

    The run is trained on the same data outside of the library, with a checkpoint every few steps.
    """
    arrays = token_arrays(WARMUP * UNIT_SIZE)
    reference = OrderBook.load(trained.file("orders.json")).reference.schedule
    warmup = arrays["warmup"].reshape(WARMUP, UNIT_SIZE, LENGTH)
    batches = [*warmup, *arrays["units"][reference[:, 0]]]
    rate = AdamW(OptimizerConfig(**trained.settings["optimizer"]), 0).learning_rate

    def make(every):
        root = tmp_path_factory.mktemp(f"every-{every}")
        write_tokens(root / "tokens.safetensors", token_arrays())
        fields = ModelConfig(**trained.settings["model"])
        module = LanguageModel(fields, VOCABULARY, LENGTH, 0, torch.float32).module
        decay = {"betas": (0.9, 0.95), "weight_decay": 0.1}
        states = train(module, batches, rate, root / "run", WARMUP, every, **decay)
        order = {"name": "as-trained", "schedule": reference.ravel().tolist()}
        (root / "order.json").write_text(json.dumps(order))
        study = ByHand(root, {"checkpoints": "run", "order": "order.json"})
        for job in (study.corpus, study.warm, study.orders, study.reference):
            done(job())
        return study, states

    return make


@pytest.fixture(scope="module")
def every_step(ran):
    return ran(1)


@pytest.fixture(scope="module")
def every_second(ran):
    return ran(2)


@pytest.fixture(scope="module")
def first_alone(ran):
    return ran(100)


RUNS = ["every_step", "every_second", "first_alone"]


def path_of(study):
    with h5py.File(study.file("path.h5")) as file:
        return {name: file[name][()] for name in MOMENTS}, int(file.attrs["first_step"])


def stacked(states, name):
    return np.stack([getattr(state, name).numpy() for state in states])


def test_the_path_consists_of_the_exact_states_of_the_run(every_step):
    study, states = every_step
    path, first = path_of(study)
    assert first == WARMUP
    assert len(states) == UNITS + 1
    warm = read_state(study.file("warm.h5"), KEY, "warm")
    assert warm.step == WARMUP
    for name in MOMENTS:
        assert np.array_equal(path[name], stacked(states, name)), f"{name} differs from the run"
        assert torch.equal(getattr(warm, name), getattr(states[0], name))


def test_an_existing_run_is_as_predictable_as_the_training_that_made_it(every_second, trained):
    run, own = every_second[0].predictability(), trained.predictability()
    assert run["growth"]["n"] == own["growth"]["n"] > 1
    assert run["growth"]["value"] == pytest.approx(own["growth"]["value"], rel=0.02)
    assert run["cost"]["retrainings"] == own["cost"]["retrainings"] + 1, "of the reference"


def test_no_job_trains_and_the_corpus_has_no_warm_up(every_step):
    study, _ = every_step
    assert not (study.tree.root / "work").exists(), "a job trained"
    with h5py.File(study.file("corpus.h5")) as file:
        assert len(file["warmup"]) == 0


def test_the_orders_are_those_of_a_study_that_trains_its_reference(every_step, trained):
    orders, other = (
        OrderBook.load(study.file("orders.json")) for study in (every_step[0], trained)
    )
    assert list(orders) == list(other)
    for name, order in orders.items():
        assert np.array_equal(order.schedule, other[name].schedule)


def test_states_between_checkpoints_are_those_of_the_run_up_to_rounding(every_second, first_alone):
    for stored, (study, states) in ((slice(0, None, 2), every_second), (slice(1), first_alone)):
        path, _ = path_of(study)
        for name in MOMENTS:
            exact = stacked(states, name)
            assert np.array_equal(path[name][stored], exact[stored]), "a checkpoint is not there"
            step = np.linalg.norm(np.diff(exact, axis=0), axis=1).min()
            error = np.linalg.norm(path[name] - exact, axis=1).max()
            assert error < 1e-3 * step, f"{name}: a state was not reached by training"


@pytest.mark.parametrize("fixture", RUNS)
def test_the_truth_of_the_reference_is_that_of_the_run(fixture, request, trained):
    study, states = request.getfixturevalue(fixture)
    orders = len(OrderBook.load(study.file("orders.json")))
    done(study.truth(shards=orders - 1, readouts=2))  # the first shard has the reference and one
    truth = read_arrays(study.file("truth.h5"), KEY, "truth")
    assert truth["order"][0] == "reference"
    along = [study.losses(states[t].parameters) for t in (UNITS // 2, UNITS)]
    assert np.allclose(truth["along"][0], along, rtol=0, atol=1e-6)
    assert fixture == "first_alone" or np.array_equal(truth["value"][0], along[-1])
    assert np.isfinite(truth["train_loss"]).all(), "the loss of a step is missing"
    cost = json.loads(Path(study.file("cost.json")).read_text())
    assert cost["orders"] == 1, "the reference was trained"
    sequences = sum(n.get("gradients", 0) for n in cost["counts"].values())
    assert sequences == UNITS * UNIT_SIZE, "gradients of the reference were computed"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fixture", RUNS)
def test_estimates_are_those_of_a_study_that_trains_its_reference(
    fixture, method, request, trained
):
    study, _ = request.getfixturevalue(fixture)
    estimates, expected = (one.estimates[method][:, 0] for one in (study, trained))
    assert expected.std() > 1e-5, "the orders do not differ, so the comparison is empty"
    assert np.abs(estimates - expected).max() < 1e-3 * expected.std()


@pytest.mark.parametrize("fixture", RUNS)
def test_the_reference_order_is_estimated_exactly(fixture, request):
    study, states = request.getfixturevalue(fixture)
    true = study.losses(states[-1].parameters)[0]
    assert abs(study.estimates["order0"][0, 0] - true) < 1e-6


def test_a_run_of_another_order_stops_the_job_with_one_line(every_step, tmp_path):
    study = ByHand(copied_tree(every_step, tmp_path), every_step[0].run)
    order = tmp_path / "tree/order.json"
    entry = json.loads(order.read_text())
    order.write_text(json.dumps({**entry, "schedule": entry["schedule"][::-1]}))
    done(study.orders())
    assert_one_line(study.reference(), "run/checkpoint-5: exp_avg:", "run.order")


def test_a_checkpoint_of_another_model_stops_the_job_with_one_line(every_step, tmp_path):
    study = ByHand(copied_tree(every_step, tmp_path), every_step[0].run)
    save_file({"x": torch.ones(2)}, tmp_path / "tree/run/checkpoint-4/model.safetensors")
    assert_one_line(study.warm(), "run/checkpoint-4/model.safetensors: `x` belongs to no trained")


def copied_tree(study_and_states, folder):
    shutil.copytree(study_and_states[0].tree.root, folder / "tree")
    return folder / "tree"


@pytest.fixture
def tree(every_step, tmp_path):
    """Return a work tree with a run and the configuration of a study of it."""
    tree = work_tree(tmp_path / "tree")
    for name in ("tokens.safetensors", "order.json"):
        shutil.copy(every_step[0].tree.root / name, tree.root)
    shutil.copytree(every_step[0].tree.root / "run", tree.root / "run")
    sections = {**settings(), "study": "mine", "run": every_step[0].run}
    sections["curriculum"] |= {
        "objective": [{"metric": "heldout/sea", "weight": 1.0}],
        "quotas": [],
    }
    sections["estimators"] = [e for e in sections["estimators"] if e["method"] != "proxy"]
    (tree.root / "mine.yaml").write_text(yaml.safe_dump(sections))
    return tree


def test_no_job_trains_warm_up_or_reference(tree):
    status, output = tree.snakemake("--dry-run", "--configfile", "mine.yaml")
    assert status == 0, output
    assert "Reading the first checkpoint of the run" in output
    assert "Following the run from checkpoint to checkpoint" in output
    assert "Retraining for the truth" in output
    for message in ("Warm-up training", "Training the window in the reference order"):
        assert message not in output
    # a missing checkpoint raises before a job runs
    shutil.rmtree(tree.root / "run/checkpoint-4")
    status, output = tree.snakemake("--dry-run", "--configfile", "mine.yaml")
    assert status == 1
    [line] = [line for line in output.splitlines() if "error" in line.lower()]
    assert line.startswith("error: run/checkpoint-4: missing, but the window starts there")


def validated(tree, steps):
    """Return costs and validation of a study of `tree`, whose run keeps only these checkpoints.

    The counts of its costs must be those that were planned.
    """
    for folder in (tree.root / "run").iterdir():
        if int(folder.name.removeprefix("checkpoint-")) not in steps:
            shutil.rmtree(folder)
    name = f"study{len(steps)}"
    sections = yaml.safe_load((tree.root / "mine.yaml").read_text())
    one_shard = dict.fromkeys(sections["shards"], 1)
    sections |= {"curriculum": None, "memorization": None, "shards": one_shard, "study": name}
    sections["estimators"] = [
        {"method": "constant", "path": "reference"}, {"method": "nystrom", "path": "barycentre"},
        {"method": "corrected", "path": "reference", "size": 1},
    ]  # fmt: skip
    (tree.root / f"{name}.yaml").write_text(yaml.safe_dump(sections))
    results = tree.root / "results" / name
    status, output = tree.snakemake(
        f"results/{name}/validation.json", "--cores", "2", "--configfile", f"{name}.yaml"
    )
    assert status == 0, output
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tree.root)
        planned = {stage.name: stage.counts for stage in stages(Sizes(sections))}
    costs = json.loads((results / "costs.json").read_text())
    for stage in ("warm", "reference", "truth"):
        expected = {kind: n for kind, n in planned[stage].items() if n}
        assert costs["stages"][stage]["counts"] == expected, stage
    units = json.loads((results / "store/barycentre/units.json").read_text())
    assert 0 < units["rounding"]["table"] < 1
    return costs, json.loads((results / "validation.json").read_text())


def test_a_complete_and_a_sparse_run_give_the_same_verdict_and_numbers(tree, every_step):
    study, states = every_step
    end = study.losses(states[-1].parameters)
    costs, complete = validated(tree, range(WARMUP, WARMUP + UNITS + 1))
    assert list(complete["reference"].values()) == end.tolist()
    assert complete["estimators"]["nystrom@barycentre"]["cost"]["bytes"] > 0
    assert costs["retraining_seconds"] > 0
    assert complete["existing_run"] == {
        "verified": [[0, 1], [UNITS - 1, UNITS]],
        "stored": [[step, step + 1] for step in range(1, UNITS - 1)],
        "unverified": [],
    }
    _, sparse = validated(tree, [WARMUP])
    assert sparse["existing_run"] == {"verified": [], "stored": [], "unverified": [[0, UNITS]]}
    assert list(sparse["reference"].values()) == pytest.approx(end.tolist(), abs=1e-6)
    for name, score in complete["estimators"].items():
        other = sparse["estimators"][name]
        assert other["verdict"] == score["verdict"], name
        for split, error in score["relative_error"]["heldout"].items():
            assert other["relative_error"]["heldout"][split] == pytest.approx(error, rel=1e-3), name
