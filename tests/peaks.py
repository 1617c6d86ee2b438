"""Prints the peak memory of the jobs of a study on two models as JSON; used by `test_memory.py`.

Every job runs in a fork of this process, which has only imported modules, so that all peaks have
the same baseline. `memory_gb` is 0.
"""

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from trainorder.config.sections.curvature import CurvatureConfig
from trainorder.config.sections.model import ModelConfig
from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.curvature.build_low_rank import build_low_rank
from trainorder.curvature.build_reduced_model import build_reduced_model
from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.curvature.low_rank_rounding import rounding
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.curvature.probe_rounds import ProbeRounds
from trainorder.curvature.probe_schedules import probe_schedules
from trainorder.curvature.probing import Prober
from trainorder.curvature.unit_curvature import (
    ProbedExpansion,
    leading,
    own_responses,
    unit_pools,
    with_unit_curvature,
)
from trainorder.data.corpus import Corpus
from trainorder.estimators.adjoint import path_effects, reference_steps
from trainorder.estimators.constant import Constant
from trainorder.estimators.corrected import Corrected
from trainorder.estimators.fut import FUT, FUTPlusPlus
from trainorder.estimators.nystrom import Nystrom
from trainorder.estimators.order0 import Order0
from trainorder.estimators.recency import Recency
from trainorder.estimators.subsample import Subsample
from trainorder.estimators.taylor import Taylor1, Taylor2
from trainorder.evaluation.replaying import replay_orders
from trainorder.evaluation.retraining import TrainingSetup, retrain_orders
from trainorder.expansion.anchor_files import AnchorFiles
from trainorder.expansion.anchors import Anchors
from trainorder.expansion.barycentre import run_barycentre
from trainorder.expansion.clusters import Clusters, draw_pools
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.gradient_table import Table, write_rows, write_table
from trainorder.expansion.known_runs import KnownRuns
from trainorder.expansion.path import StoredPath, write_path
from trainorder.expansion.run_recorder import RunRecorder
from trainorder.expansion.subsamples import Subsamples
from trainorder.numerics import memory_budget
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order import Order
from trainorder.storage.sealed_hdf5 import creating, opened
from trainorder.training.checkpoints import Checkpoints, read_state, write_state
from trainorder.training.existing_run.checkpoint_files import (
    MOMENTS_FILE,
    PARAMETERS_FILE,
    checkpoint,
)
from trainorder.training.existing_run.window_states import window_states
from trainorder.training.meter import Meter, peak_bytes
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import MOMENTS, AdamW, State
from trainorder.training.problem import LanguageProblem

LAYERS = (1, 3)  # of the two models
WINDOW, PER_STEP = 3, 2
UNITS = WINDOW * PER_STEP  # a whole anchor of the table in memory would exceed the bound
SEQUENCES, LENGTH, VOCABULARY = 3, 3, 64  # few tokens: activations are small
ORDER = Order("random-0", "random", "random", np.array([[2, 4], [0, 5], [1, 3]]))
CLIPPED = OptimizerConfig(
    learning_rate=1e-3,
    beta1=0.9,
    beta2=0.95,
    epsilon=1e-8,
    weight_decay=0.1,
    schedule="constant",
    linear_warmup_steps=0,
    final_fraction=0.1,
    gradient_clip=1.0,
)
CURVATURE = CurvatureConfig("domains", 5, 1, 4, 0.0, 6, 2, 2)
LABELS = np.array([0, 0, 1, 0, 1, 1])
CHECKPOINTS = (0, 2, WINDOW)


def problem(layers):
    """Return a model with 3.3 million parameters per layer, on random tokens."""
    rng = np.random.default_rng(0)
    warmup, units, heldout = (
        rng.integers(0, VOCABULARY, (*shape, LENGTH)).astype(np.int32)
        for shape in ((1,), (UNITS, SEQUENCES), (1, 1))
    )
    corpus = Corpus(["a"], VOCABULARY, warmup, units, ["a"] * UNITS, heldout)
    config = ModelConfig(hidden_size=512, intermediate_size=1408, layers=layers, heads=8)
    model = LanguageModel(config, VOCABULARY, LENGTH, 0, torch.float32)
    return LanguageProblem(model, corpus, Meter())


def optimizer():
    """Return an optimizer with gradient clipping, which needs the whole gradient at once."""
    return AdamW(CLIPPED, WINDOW)


def clusters():
    """Return two clusters with pools of two sequences."""
    return Clusters(LABELS, draw_pools(LABELS, SEQUENCES, 2, 0))


@contextmanager
def expansion(folder, layers):
    """Yield the expansion about the path, with its table."""
    about = problem(layers)
    with (
        opened(folder / "path.h5", "k", "reference") as path,
        opened(folder / "table.h5", "k", "table") as table,
    ):
        yield Expansion(about, optimizer(), StoredPath(path), Table([table]))


def write(folder, layers):
    """Write a path and the checkpoints of a run; the states are artificial."""
    model = problem(layers).model
    theta = model.parameters()

    def state(t):
        scale = 1e-3 * (1 + t)
        return State(theta + scale, theta * scale, theta**2 * scale + 1e-9, t)

    write_state(folder / "warm.h5", "k", state(0))
    write_path(folder / "path.h5", "k", state, steps=WINDOW, anchors=np.arange(WINDOW))
    names = [name for name, _ in model.module.named_parameters()]
    for t in CHECKPOINTS:
        target = checkpoint(folder / "run", t)
        target.mkdir(parents=True, exist_ok=True)
        parameters, *moments = (model.split(getattr(state(t), name)) for name in MOMENTS)
        save_file(dict(zip(names, parameters, strict=True)), target / PARAMETERS_FILE)
        named_moments = {
            f"{name}.{moment}": part
            for moment, parts in zip(MOMENTS[1:], moments, strict=True)
            for name, part in zip(names, parts, strict=True)
        }
        save_file(named_moments, target / MOMENTS_FILE)


def start(folder):
    """Return the state before the window."""
    return read_state(folder / "warm.h5", "k", "warm")


def train(folder, layers):
    """Retrain an order in two segments, with checkpoints."""
    retrain(folder, layers, problem(layers))


def retrain(folder, layers, about, recorder=None):
    sketch = SparseJL(problem_size(layers), 16384)

    def checkpoints(place, readout):
        return Checkpoints(folder / "work", f"{layers}-{readout}", 1)

    setup = (start(folder), CLIPPED, WINDOW, [1, WINDOW], checkpoints, None, recorder)
    training = TrainingSetup(*setup)
    retrain_orders(
        about,
        [ORDER],
        training,
        followed=[ORDER.name],
        sketch=sketch,
        units={ORDER.name: [0]},
    )


def existing(folder, layers):
    """Write the path of an existing run; one state is trained between two checkpoints."""
    about = problem(layers)
    any_distance = 1e9  # the checkpoints do not come from training
    states = window_states(
        folder / "run", CHECKPOINTS, ORDER.schedule, about, optimizer(), any_distance
    )
    anchors = np.arange(WINDOW)
    write_path(folder / "existing.h5", "k", lambda t: next(states), steps=WINDOW, anchors=anchors)


def barycentre(folder, layers):
    """Run the barycentre path, with one anchor between two measured ones, and write its files."""
    work = Checkpoints(folder / "work", f"barycentre-{layers}", 1, keep_all=True)
    about, state, anchors = problem(layers), start(folder), Anchors(WINDOW, None, 0.0)
    chosen = run_barycentre(about, clusters(), optimizer(), state, PER_STEP, anchors, work, "k")
    chosen.measured.remove(1)
    rows, places = AnchorFiles(work.folder, "k").table(chosen, clusters().labels), np.arange(WINDOW)
    write_rows(folder / "barycentre.h5", "k", places, UNITS, state.parameters, rows)
    write_path(
        folder / "barycentre.h5", "k", lambda t: work.load(t)[0], steps=WINDOW, anchors=places
    )
    work.clear()


def table(folder, layers):
    """Write the gradient table along the path."""
    with opened(folder / "path.h5", "k", "reference") as file:
        path = StoredPath(file)
        write_table(folder / "table.h5", "k", problem(layers), path, path.anchors)


def residuals(folder, layers):
    """Measure the residuals of subsamples along the path."""
    with opened(folder / "path.h5", "k", "reference") as file:
        about = Expansion(problem(layers), optimizer(), StoredPath(file), None)
        scale = second_moment_scale(about)
        known = KnownRuns.measure(about.problem, about.path, ORDER.schedule, [2], scale, 0)
    known.save(folder / "residuals.h5", "k")


def record(folder, layers):
    """Retrain an order and record it as a known run."""
    with opened(folder / "residuals.h5", "k", "residuals") as file:
        subsamples = Subsamples.of(file)
    with creating(folder / "known_runs-0.h5", "k") as file:
        about, known = problem(layers), {1: ORDER}
        recorder = RunRecorder(file, about, subsamples, known, ORDER.schedule.shape)
        retrain(folder, layers, about, recorder)


def probes(folder, layers):
    """Probe the curvature of clusters and build the low-rank expansion with the table."""
    schedules = probe_schedules((WINDOW, PER_STEP), UNITS, 0, 4)
    with expansion(folder, layers) as about:
        prober = Prober(about, clusters(), schedules, CURVATURE.anchors)
        prober.run(ProbeRounds(CURVATURE.rank), CURVATURE.tolerance)
        prober._widen(2 * CURVATURE.pool, {})
        prober._add_steps(3, {})
        curvature = prober.curvature
        displacements, metric = prober.displacements(), prober.metric
        model, _ = build_low_rank(about, curvature, LABELS, displacements, metric, CURVATURE.basis)
        directions = leading(displacements, metric, CURVATURE.unit_directions)
        ProbedExpansion(model, metric, directions, prober.length).save(folder / "probed.h5", "k")


def curvature(folder, layers):
    """Measure the units' own curvature, write the low-rank expansion and its rounding errors."""
    probed = ProbedExpansion.load(folder / "probed.h5", "k", start(folder))
    with expansion(folder, layers) as about:
        pools = unit_pools(about.problem, CURVATURE.unit_sequences, 0)
        theta = about.path.parameters(probed.step)
        halves = own_responses(about.problem, theta, probed, pools, np.arange(UNITS))
    model, _ = with_unit_curvature(probed, halves, pools.missing_shares(SEQUENCES))
    model.save(folder / "curvature.h5", "k")
    rounding(model, low_rank(folder), probed.directions, probed.metric, probed.step)


def low_rank(folder):
    """Return the low-rank expansion."""
    return LowRankExpansion.load(folder / "curvature.h5", "k", start(folder))


def reduced(folder, layers):
    """Reduce the low-rank expansion."""
    schedules = probe_schedules((WINDOW, PER_STEP), UNITS, 0, 4)
    model = low_rank(folder)
    with expansion(folder, layers) as about:
        build_reduced_model(about, model, schedules, second_moment_scale(about), [1, WINDOW])


def effects(folder, layers):
    """Compute the effects of units along the reference path."""
    with expansion(folder, layers) as about:
        path_effects(about, reference_steps(about.problem, ORDER.schedule))


ESTIMATORS = {
    "constant": Constant,
    "order0": Order0,
    "fut": lambda about: FUT(about, 1.0),
    "fut++": lambda about: FUTPlusPlus(about, 1.0),
    "taylor1": Taylor1,
    "taylor2": Taylor2,
    "recency": Recency,
}
LOW_RANK = {
    "nystrom": Nystrom,
    "subsample": lambda about, model: Subsample(about, model, 2, 0),
}


def estimate(folder, layers, method):
    """Replay one order, with its trajectory, and evaluate the final parameters."""
    with expansion(folder, layers) as about:
        if method == "corrected":
            run = KnownRuns.load(folder / "residuals.h5", "k", 2)
            estimator = Corrected(about, run, 2, 0)
        elif method in LOW_RANK:
            estimator = LOW_RANK[method](about, low_rank(folder))
        else:
            estimator = ESTIMATORS[method](about)
        estimator.tail = 2 if method == "recency" else 0
        sketch = SparseJL(about.problem.size, 16384)
        replay_orders(estimator, about.problem, [ORDER], [ORDER.name], sketch)


def peak(work, *arguments):
    """Return the peak resident bytes of a fork that calls `work`."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        memory_budget.hold_at_most(0)
        work(*arguments)
        os.write(writer, str(peak_bytes()).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as handle:
        size = handle.read()
    if os.waitpid(process, 0)[1]:
        sys.exit(f"{work.__name__} failed")
    return int(size)


JOBS = (
    *(train, existing, table, residuals, record, barycentre),
    *(probes, curvature, reduced, effects),
)


def main(folder):
    """Run the jobs for both models in `folder` and print the peaks."""
    torch.set_num_threads(1)
    methods = [*ESTIMATORS, *LOW_RANK, "corrected"]
    peaks = {name: [] for name in ("parameters", *(job.__name__ for job in JOBS), *methods)}
    for layers in LAYERS:
        peaks["parameters"].append(problem_size(layers))
        peak(write, folder, layers)
        for job in JOBS:
            peaks[job.__name__].append(peak(job, folder, layers))
        for method in methods:
            peaks[method].append(peak(estimate, folder, layers, method))
    print(json.dumps(peaks))


def problem_size(layers):
    """Return the number of parameters; the device `meta` allocates no memory."""
    config = ModelConfig(hidden_size=512, intermediate_size=1408, layers=layers, heads=8)
    with torch.device("meta"):
        return LanguageModel(config, VOCABULARY, LENGTH, 0, torch.float32).size


if __name__ == "__main__":
    main(Path(sys.argv[1]))
