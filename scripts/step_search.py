"""Selects the method of the search for orders, and searches by steps if that is the method."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from trainorder.config.sections.curriculum import STEPS, CurriculumConfig
from trainorder.config.sections.readouts import metric_sets
from trainorder.curriculum.candidates_file import SEARCHED, read_candidates
from trainorder.curriculum.configured_constraints import configured_constraints
from trainorder.curriculum.gains import true_objective
from trainorder.curriculum.objective import Objective
from trainorder.curriculum.search_method import search_method
from trainorder.curriculum.search_starts import search_starts
from trainorder.curriculum.step_levels import step_levels
from trainorder.curriculum.step_records import step_candidates, step_record
from trainorder.curriculum.step_search import StepSearch, search_by_steps
from trainorder.curriculum.trained_landscape import TrainedLandscape
from trainorder.evaluation.costs import Retraining
from trainorder.evaluation.outcomes import read_truth
from trainorder.evaluation.retraining import TrainingSetup
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.recorded_runs import RecordedRuns
from trainorder.expansion.store import Store
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import read_json, write_json
from trainorder.storage.sealed_hdf5 import opened
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    context, config = Context(job), CurriculumConfig(**job.params["curriculum"])
    scores = read_json(job.input["validation"], "validate")["estimators"]
    chosen = search_method(config.method, job.params["estimators"], scores)
    print(f"search: {chosen.method}: {chosen.reason}")
    content = read_candidates(job.input["candidates"]) | chosen._asdict()
    if chosen.method == STEPS:
        orders = OrderBook.load(job.input["orders"])
        search, retrained = _searched(context, config, orders)
        field = [record for record in content["orders"] if record["kind"] != SEARCHED]
        candidates = step_candidates(search, config.retrained)
        content["orders"] = [one.as_dict(orders.reference) for one in candidates] + field
        content["step_search"] = step_record(search, config.retrainings, retrained)
    write_json(job.output["candidates"], content)
    context.checkpoints(1).clear()


def _searched(
    context: Context, config: CurriculumConfig, orders: OrderBook
) -> tuple[StepSearch, int]:
    """Return the search, and the number of retrained orders of the study that it uses."""
    job, window = context.job, context.window
    domains = context.problem.corpus.unit_domains
    constraints = configured_constraints(config, orders.reference.schedule, domains)
    truth = read_truth(job.input["truth"], context.key, list(orders))
    true = true_objective(Objective(config.weights), truth)
    with ExitStack() as files:
        runs = _recorded_runs(context, orders.reference.schedule, files)
        levels = step_levels(window, runs.subsamples.sizes, _evaluation(context, config))
        landscape = _landscape(context, config, runs, list(levels.prices), files)
        used = search_starts(orders, true, constraints, lambda schedule: schedule in runs)
        search = search_by_steps(
            landscape, used.starts, constraints, levels, config.retrainings, job.params["seed"]
        )
    return search, used.retrained


def _recorded_runs(context: Context, reference: np.ndarray, files: ExitStack) -> RecordedRuns:
    store = _store(context)
    [file] = store.files("reference", "residuals")
    runs = RecordedRuns(files.enter_context(opened(file, store.key, "residuals")), reference)
    for file in store.files("reference", "known_runs") if context.job.params["known_runs"] else []:
        runs.add(files.enter_context(opened(file, store.key, "truth")))
    return runs


def _landscape(
    context: Context,
    config: CurriculumConfig,
    runs: RecordedRuns,
    sizes: Sequence[int],
    files: ExitStack,
) -> TrainedLandscape:
    p, every = context.job.params, context.job.params["checkpoint_every"]
    path = files.enter_context(_store(context).path("reference"))
    return TrainedLandscape(
        problem=context.problem,
        expansion=Expansion(context.problem, context.optimizer, path, table=None),
        setup=TrainingSetup(
            context.start(),
            context.optimizer_config,
            context.window.horizon,
            context.window.readouts(config.readouts),
            lambda order, readout: context.checkpoints(every, suffix=f"training-{readout}"),
            averaged_states=_averaged_states(context, config),
        ),
        runs=runs,
        objective=Objective(config.weights),
        sizes=sizes,
        folder=context.checkpoints(every).folder,
        key=context.key,
        files=files,
        seed=p["seed"],
    )


def _evaluation(context: Context, config: CurriculumConfig) -> float:
    """Return the cost of the evaluation of one order, in retrainings."""
    domains, heldout = context.problem.corpus.heldout.shape[:2]
    sets = config.readouts * metric_sets(_averaged_states(context, config))
    passes = {"counts": {"": {"losses": sets * domains * heldout}}}
    sequences = context.window.steps * context.window.sequences_per_step
    return Retraining(sequences, parameters=1).counted([passes | {"parameters": 1}])


def _averaged_states(context: Context, config: CurriculumConfig) -> int | None:
    """Return the states of averaged weights; None if the objective does not use them."""
    states: int | None = context.job.params["averaged_states"]
    return states if Objective(config.weights).reads_averages else None


def _store(context: Context) -> Store:
    return Store(Path(context.job.input["manifest"]).parent, context.key)


run(main, globals().get("snakemake"))
