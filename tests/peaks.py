"""Prints the peak memory of steps of a study on two models, as JSON; run by `test_memory.py`.

Every step is made in a fork of this process, which has computed nothing yet, so that all peaks
stand on the same ground: that of the imports.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch

from trainorder.config import ModelConfig, OptimizerConfig
from trainorder.corpus.corpus import Corpus
from trainorder.cost import Meter, peak_bytes
from trainorder.estimators.base import Expansion
from trainorder.estimators.constant import Constant
from trainorder.estimators.fut import FUT
from trainorder.estimators.futpp import FUTPlusPlus
from trainorder.estimators.order0 import Order0
from trainorder.model import LanguageModel
from trainorder.optimizer import AdamW, State
from trainorder.orders import Order
from trainorder.outcome import replay
from trainorder.path import Path as ExpansionPath
from trainorder.path import write_path
from trainorder.problem import LanguageProblem
from trainorder.sketch import SparseJL
from trainorder.store import opened
from trainorder.table import Table, write_table

LAYERS = (1, 5)  # of the two models
UNITS, LENGTH, VOCABULARY = 3, 8, 64
ORDER = Order("random-0", "random", "random", np.array([[2], [0], [1]]))
OPTIMIZER = OptimizerConfig(1e-3, 0.9, 0.95, 1e-8, 0.1, "constant", 0, 0.1, None)
ESTIMATORS = {
    "constant": Constant,
    "order0": Order0,
    "fut": lambda about: FUT(about, 1.0),
    "fut++": lambda about: FUTPlusPlus(about, 1.0),
}


def problem(layers):
    """Return a model of 3.3 million parameters a layer, on random tokens."""
    rng = np.random.default_rng(0)
    warmup, units, heldout = (
        rng.integers(0, VOCABULARY, (*shape, LENGTH)).astype(np.int32)
        for shape in ((1,), (UNITS, 1), (1, 1))
    )
    corpus = Corpus(["a"], VOCABULARY, warmup, units, ["a"] * UNITS, heldout)
    config = ModelConfig(512, 1408, layers, 8)
    model = LanguageModel(config, VOCABULARY, LENGTH, 0, torch.float32)
    return LanguageProblem(model, corpus, Meter())


def write(folder, layers):
    """Write the path; its states are not those of a training."""
    theta = problem(layers).model.parameters()

    def state(t):
        return State(theta + 1e-3 * t, theta * 1e-3, theta**2 * 1e-3, t)

    write_path(folder / "path.h5", "k", state, UNITS, np.arange(UNITS))


def tabulate(folder, layers):
    """Write the gradient table along the path."""
    with opened(folder / "path.h5", "k", "reference") as file:
        path = ExpansionPath(file)
        write_table(folder / "table.h5", "k", problem(layers), path, path.anchors)


def estimate(folder, layers, method):
    """Replay one order, followed along the window, and evaluate its end."""
    about = problem(layers)
    with (
        opened(folder / "path.h5", "k", "reference") as path,
        opened(folder / "table.h5", "k", "table") as table,
    ):
        expansion = Expansion(about, AdamW(OPTIMIZER, UNITS), ExpansionPath(path), Table([table]))
        sketch = SparseJL(about.size, 16384)
        replay(ESTIMATORS[method](expansion), about, [ORDER], [ORDER.name], sketch)


def peak(work, *arguments):
    """Return the peak resident bytes of a fork that does some work."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        work(*arguments)
        os.write(writer, str(peak_bytes()).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as handle:
        found = handle.read()
    if os.waitpid(process, 0)[1]:
        sys.exit(f"{work.__name__} failed")
    return int(found)


def main(folder):
    """Make the steps of both models in `folder`."""
    torch.set_num_threads(1)
    found = {name: [] for name in ("parameters", "table", *ESTIMATORS)}
    for layers in LAYERS:
        with torch.device("meta"):
            found["parameters"].append(problem_size(layers))
        peak(write, folder, layers)
        found["table"].append(peak(tabulate, folder, layers))
        for method in ESTIMATORS:
            found[method].append(peak(estimate, folder, layers, method))
    print(json.dumps(found))


def problem_size(layers):
    """Return the number of parameters; on the device `meta` nothing is allocated."""
    config = ModelConfig(512, 1408, layers, 8)
    return LanguageModel(config, VOCABULARY, LENGTH, 0, torch.float32).size


if __name__ == "__main__":
    main(Path(sys.argv[1]))
