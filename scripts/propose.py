"""Searches orders with the reduced model, and selects those that are worth retraining."""

from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch

from trainorder.config.estimator_names import SCREENING
from trainorder.config.sections.curriculum import CurriculumConfig
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.curriculum.candidates import heuristic_candidates, searched_candidates
from trainorder.curriculum.configured_constraints import configured_constraints
from trainorder.curriculum.constraints import Constraints
from trainorder.curriculum.effects import Score
from trainorder.curriculum.heuristic_orders import document_lengths, heuristic_orders
from trainorder.curriculum.literature_orders import WORST, UnitFeatures, literature_orders
from trainorder.curriculum.objective import Objective
from trainorder.curriculum.search import proposals
from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.curvature.reduced_model import ReducedModel
from trainorder.data.domains import check_search
from trainorder.data.metrics import metric_names
from trainorder.data.tokenizer import load as load_tokenizer
from trainorder.estimators.open_estimator import opened_estimator
from trainorder.evaluation.ladder import selected_config
from trainorder.evaluation.replaying import replayed_readouts
from trainorder.expansion.replay import Estimator
from trainorder.expansion.store import Store
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import read_json, write_json
from trainorder.training.optimizer import State
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    context, config = Context(job), CurriculumConfig(**job.params["curriculum"])
    problem, window, key = context.problem, context.window, context.key
    averaged = job.params["averaged_states"]
    check_search(config, problem.corpus.domains, averaged is not None)
    objective, readouts = Objective(config.weights), window.readouts(config.readouts)
    metrics = metric_names(problem.goals, averaged is not None)
    orders = OrderBook.load(job.input["orders"])
    domains = problem.corpus.unit_domains
    constraints = configured_constraints(config, orders.reference.schedule, domains)
    reduced = ReducedModel.load(job.input["reduced"], key)
    start = context.start()
    model = LowRankExpansion.load(job.input["curvature"], key, start)
    confirming = EstimatorConfig(**job.params["confirming"])

    def cheap(schedules: np.ndarray) -> np.ndarray:
        losses = reduced.along(torch.from_numpy(schedules)).double().numpy()
        return np.asarray(objective.of_domains(reduced.goals, losses).mean(axis=1))

    with job.meter.time("search"):
        proposed = proposals(cheap, constraints, config.random, config.rounds, job.params["seed"])
        worst = _worst(cheap, constraints, config, job.params["seed"])
    structured = {order.name: order.schedule for order in orders.of_split("structured")}
    others = {**structured, **_heuristic_schedules(job, context, start, model, reduced), **worst}
    name = confirming.name
    with _opened(job, context, confirming) as estimator:

        def expensive(schedules: np.ndarray) -> np.ndarray:
            values = replayed_readouts(
                estimator, problem, torch.from_numpy(schedules), readouts, averaged
            )
            return np.asarray(objective.of(metrics, values).mean(axis=1))

        candidates = searched_candidates(proposed, SCREENING, name, expensive, config.retrained)
        estimators = {SCREENING: cheap, name: expensive}
        candidates += heuristic_candidates(others, constraints, estimators, structured)
    records = [
        (candidate.retrained, candidate.as_dict(orders.reference)) for candidate in candidates
    ]
    write_json(
        job.output["candidates"],
        {
            "steps": window.steps,
            "random": config.random,
            "orders": [record for retrained, record in records if retrained],
            "others": [record for retrained, record in records if not retrained],
        },
    )


def _heuristic_schedules(
    job: Job, context: Context, start: State, model: LowRankExpansion, reduced: ReducedModel
) -> dict[str, np.ndarray]:
    """Return the heuristic orders and those of the literature as schedules (T, k)."""
    problem, reference = context.problem, OrderBook.load(job.input["orders"]).reference.schedule
    losses = problem.unit_losses(start.parameters)
    features = UnitFeatures(
        losses,
        reduced.coefficients.double().mean(0).numpy(),
        problem.corpus.unit_domains,
        reference.reshape(-1),
    )
    visits = heuristic_orders(
        losses,
        problem.unit_losses(model.parameters(model.steps)),
        _document_lengths(job, problem.corpus.units),
    )
    visits |= literature_orders(CurriculumConfig(**job.params["curriculum"]).literature, features)
    return {name: units.reshape(reference.shape) for name, units in visits.items()}


def _worst(
    score: Score, constraints: Constraints, config: CurriculumConfig, seed: int
) -> dict[str, np.ndarray]:
    """Return the schedule (T, k) of the same search for the highest objective, if it is asked."""
    if WORST not in config.literature:
        return {}
    [worst, *_] = proposals(
        lambda schedules: -score(schedules), constraints, config.random, config.rounds, seed
    )
    return {"worst-found": worst.schedule}


def _opened(
    job: Job, context: Context, config: EstimatorConfig
) -> AbstractContextManager[Estimator]:
    """Return the estimator of the best orders, with the size that the ladder selected."""
    if ladder := job.input["ladder"]:
        config = selected_config(config, read_json(ladder, "ladder"))
    store = Store(Path(job.input["manifest"]).parent, context.key)
    seed = job.params["seed"]
    return opened_estimator(config, context.problem, context.optimizer, store=store, seed=seed)


def _document_lengths(job: Job, units: np.ndarray) -> np.ndarray | None:
    """Return the document length of each unit; None for a corpus of tokens, which has no ends."""
    if not job.input["tokenizer"]:
        return None
    tokenizer = load_tokenizer(str(Path(job.input["tokenizer"]).parent))
    return document_lengths(units, tokenizer.end)


run(main, globals().get("snakemake"))
