"""Searches orders by the reduced model, and picks those that are worth retraining."""

from pathlib import Path

import numpy as np
import torch

from trainorder.config.methods import SEARCHING
from trainorder.config.sections import CurriculumConfig, OptimizerConfig, WindowConfig
from trainorder.curriculum.candidates import chosen, tried_by_others
from trainorder.curriculum.constraints import Constraints, Quota
from trainorder.curriculum.heuristics import document_lengths, field_orders
from trainorder.curriculum.objective import Objective
from trainorder.curriculum.search import proposals
from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.curvature.reduced_model import ReducedModel
from trainorder.data.tokenizer import load as load_tokenizer
from trainorder.estimators.nystrom import Nystrom
from trainorder.evaluation.replaying import replayed_readouts
from trainorder.expansion.expansion import Expansion
from trainorder.orders.order_book import load_orders
from trainorder.storage.formats import write_json
from trainorder.training.checkpoints import read_state
from trainorder.training.optimizer import build_optimizer
from trainorder.training.problem import LanguageProblem
from trainorder.workflow.job import Job, run

CHEAP, DEAR = SEARCHING


def main(job: Job) -> None:
    p, key = job.params, job.params["key"]
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    window, config = WindowConfig(**p["window"]), CurriculumConfig(**p["curriculum"])
    objective, readouts = Objective(config.weights), window.readouts(config.readouts)
    orders = load_orders(job.input["orders"])
    constraints = Constraints(
        orders[0].schedule,
        problem.corpus.unit_domains,
        {pin["unit"]: pin["step"] for pin in config.pinned},
        [Quota(**quota) for quota in config.quotas],
        config.furthest,
    )
    reduced = ReducedModel.load(job.input["reduced"], key)
    start = read_state(job.input["warm"], key, "warm")
    model = LowRankExpansion.load(job.input["curvature"], key, start)
    optimizer = build_optimizer(OptimizerConfig(**p["optimizer"]), window.horizon)
    replay = Nystrom(Expansion(problem, optimizer, model, None), model)

    def cheap(schedules: np.ndarray) -> np.ndarray:
        losses = reduced.along(torch.from_numpy(schedules)).double().numpy()
        return np.asarray(objective.of_domains(reduced.goals, losses).mean(axis=1))

    def dear(schedules: np.ndarray) -> np.ndarray:
        values = replayed_readouts(replay, problem, torch.from_numpy(schedules), readouts)
        return np.asarray(objective.of(problem.metrics, values).mean(axis=1))

    with job.meter.time("search"):
        found = proposals(cheap, constraints, config.random, config.rounds, p["seed"])
    candidates = chosen(found, CHEAP, DEAR, dear, config.retrained)
    lengths = None  # sequences that were given as tokens do not say where documents end
    if job.input["tokenizer"]:
        end = load_tokenizer(str(Path(job.input["tokenizer"]).parent)).end
        lengths = document_lengths(problem.corpus.units, end)
    field = field_orders(
        problem.unit_losses(start.parameters),
        problem.unit_losses(model.parameters(model.steps)),
        lengths,
    )
    structured = {order.name: order.schedule for order in orders if order.split == "structured"}
    new = {name: visits.reshape(orders[0].schedule.shape) for name, visits in field.items()}
    estimators = {CHEAP: cheap, DEAR: dear}
    candidates += tried_by_others({**structured, **new}, constraints, estimators, structured)
    records = [(candidate.retrained, candidate.as_dict(orders[0])) for candidate in candidates]
    write_json(
        job.output["candidates"],
        {
            "steps": window.steps,
            "random": config.random,
            "orders": [record for retrained, record in records if retrained],
            "others": [record for retrained, record in records if not retrained],
        },
    )


run(main, globals().get("snakemake"))
