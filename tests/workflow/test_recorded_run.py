"""A recorded loop and a recorded Trainer, studied end to end: what-ifs agree with retraining."""

import json

import numpy as np
import pytest
import yaml
from transformers import Trainer, TrainingArguments

from recorded_runs import MICRO, SIZE, STEPS, Run, gpt2, tokens
from trainorder import Study
from trainorder.orders.order import Order
from trainorder.recording import RecordingCallback
from workflow_tree import work_tree

pytestmark = pytest.mark.study
START = 3  # after the first updates of Adam, whose size does not depend on the gradient
CONFIG = {
    "study": "recorded",
    "run": {"recording": "record", "start": START},
    "orders": {"calibration": 8, "random": 4, "block_sizes": [2]},
    "estimators": [{"method": "taylor1", "path": "reference"}],
    "curriculum": None,
    "memorization": None,
    "trajectories": 0,
    "sketch_rows": 16,
    "validation": {"resamples": 100},
}


HELDOUT = tokens(9)[-2:].flatten(0, 2)


def recorded_loop(folder):
    """Record a training loop."""
    run = Run(fused=True)
    with run.recorder(folder, heldout=HELDOUT) as record:
        run.train(record)


def recorded_trainer(folder):
    """Record a Trainer with gradient accumulation, clipping, and its own rule of weight decay."""
    arguments = TrainingArguments(
        str(folder.parent / "run"), max_steps=STEPS, per_device_train_batch_size=SIZE,
        gradient_accumulation_steps=MICRO, learning_rate=1e-2, weight_decay=0.1, max_grad_norm=0.3,
        save_strategy="no", logging_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    rows = [{"input_ids": row, "labels": row} for row in tokens().flatten(0, 2)]
    callback = RecordingCallback(folder, every=3, heldout=HELDOUT)
    Trainer(gpt2(), arguments, train_dataset=rows, callbacks=[callback]).train()


RUNS = {"loop": recorded_loop, "trainer": recorded_trainer}


@pytest.fixture(scope="module", params=RUNS)
def study(request, tmp_path_factory):
    """Return a finished study of a recorded run, and its folder."""
    tree = work_tree(tmp_path_factory.mktemp("recorded") / "tree")
    RUNS[request.param](tree.root / "record")
    (tree.root / "recorded.yaml").write_text(yaml.safe_dump(CONFIG))
    target = "results/recorded/validation.json"
    status, output = tree.snakemake(target, "--cores", "2", "--configfile", "recorded.yaml")
    assert status == 0, output
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tree.root)
        yield Study.open("results/recorded"), tree


def test_the_reference_is_the_recorded_run_and_is_verified(study):
    opened, tree = study
    log = (tree.root / "results/recorded/logs/reference.log").read_text()
    assert "the existing run: 4 of 4 steps are verified: training from a checkpoint" in log
    true = opened.retrain(opened.orders["reference"])
    validation = json.loads((tree.root / "results/recorded/validation.json").read_text())
    assert validation["reference"]["heldout"] == pytest.approx(true["heldout"], abs=1e-5)


def test_what_ifs_agree_with_retraining(study):
    opened, _ = study
    rng, errors, effects = np.random.default_rng(3), [], []
    reference = opened.retrain(opened.orders["reference"])["heldout"]
    for number in range(3):
        schedule = rng.permutation((STEPS - START) * MICRO).reshape(-1, MICRO)
        order = Order(f"mine-{number}", "permutation", "custom", schedule)
        true = opened.retrain(order)["heldout"]
        errors.append(abs(opened.estimate(order).values["heldout"].value - true))
        effects.append(abs(true - reference))
    assert np.mean(effects) > 1e-4, "the orders do not differ, so the comparison is empty"
    assert np.mean(errors) < 0.3 * np.mean(effects), "estimates of orders of a recorded run are off"
