"""Selects the size of `corrected` on the calibration orders, and keeps their estimates."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from trainorder.config.sections import EstimatorConfig, LadderConfig, sampled_from
from trainorder.estimators.open_estimator import opened_estimator
from trainorder.evaluation.costs import Retraining
from trainorder.evaluation.ladder import Level, climbed, ladder_record, selected
from trainorder.evaluation.outcomes import Outcomes, read_truth
from trainorder.evaluation.paired_outcomes import pair_with_truth
from trainorder.evaluation.replaying import replay_orders
from trainorder.evaluation.scores import IntervalSettings, estimator_scores, read_vocabulary
from trainorder.expansion.store import Store
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import write_json
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    problem, window, book = context.problem, context.window, OrderBook.load(job.input["orders"])
    entry, settings = EstimatorConfig(**p["estimator"]), IntervalSettings(**p["validation"])
    orders = [order for order in book.bounded(entry.orders) if order.split == "calibration"]
    truth = read_truth(job.input["truth"], context.key, list(book))
    splits = {order.name: order.split for order in book.values()}
    vocabulary = read_vocabulary(job.input["summary"])
    store = Store(Path(job.input["manifest"]).parent, context.key)
    retraining = Retraining(window.steps * window.sequences_per_step, problem.size)
    outcomes: dict[int, dict[str, Any]] = {}

    def measured(size: int) -> Level:
        config = replace(entry, size=size)
        with opened_estimator(
            config, problem, context.optimizer, store=store, seed=p["seed"]
        ) as estimator:
            sketch = SparseJL(problem.size, p["sketch_rows"])
            outcomes[size] = replay_orders(
                estimator, problem, orders, [], sketch, p["averaged_states"]
            )
        cost = retraining.counted([job.meter.as_dict()], "replay") / len(orders)
        job.meter.move(("replay", "evaluation"), to=f"size {size}")
        estimate = Outcomes.estimated(outcomes[size], truth.metrics)
        paired = pair_with_truth(config.name, estimate, truth, splits, has_parameters=True)
        scores = estimator_scores(paired, truth.metrics, settings, vocabulary)
        print(f"{config.name}: {scores['verdict']}: {scores['verdict_reason']}")
        return Level(size, cost, scores)

    sizes = LadderConfig(**p["ladder"]).sizes(window)
    levels = climbed(sizes, measured)
    outcome = outcomes[selected(levels).size]
    write_arrays(job.output["estimate"], context.key, outcome, estimator=entry.name)
    record = ladder_record(
        levels, study=p["study"], estimator=entry.name, most=sizes[-1], whole=sampled_from(window)
    )
    write_json(job.output["ladder"], record)


run(main, globals().get("snakemake"))
