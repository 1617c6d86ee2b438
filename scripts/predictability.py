"""Measures how a small change of the parameters grows over the window."""

import sys

from trainorder.evaluation.measured_studies import measured_studies, what_to_expect
from trainorder.evaluation.perturbed_training import (
    DIRECTIONS,
    ReferenceRun,
    first_steps,
    responses,
)
from trainorder.evaluation.predictability import Predictability, predictability_record
from trainorder.evaluation.resumable_training import Trainings
from trainorder.expansion.path import opened_path
from trainorder.orders.generate import further_schedules
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import write_json
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    window, every = context.window, p["checkpoint_every"]
    trainings = Trainings(
        context.problem,
        context.optimizer,
        lambda name: context.checkpoints(every, suffix=name),
    )
    orders = further_schedules(window, p["seed"], DIRECTIONS)
    with job.meter.time("training"):
        measured = responses(trainings, reference_run(context, trainings), orders)
    gradients = job.meter.total["gradients"]
    record = predictability_record(
        measured,
        study=p["study"],
        first_steps=first_steps(window.steps),
        gradients=gradients,
        retrainings=gradients / (window.steps * window.sequences_per_step),
        confidence=p["confidence"],
    )
    write_json(job.output["predictability"], record)
    context.checkpoints(every).clear()
    # For the terminal of the user: estimates need it before they start.
    predictability = Predictability.of(record)
    lines = [f"predictability: {predictability.as_text()}"]
    if expected := what_to_expect(predictability.expectation, measured_studies()):
        lines.append(f"what to expect: {expected}")
    print("\n".join(lines), file=sys.__stdout__, flush=True)


def reference_run(context: Context, trainings: Trainings) -> ReferenceRun:
    """Return the run of the study, or train one if the study's run is an existing one.

    The states of an existing run are not exact enough to compare with small changes of them.
    """
    inputs = context.job.input
    schedule = OrderBook.load(inputs["orders"]).reference.schedule
    if not inputs["path"]:
        return ReferenceRun.trained(trainings, context.start(), schedule)
    with opened_path(inputs["path"], context.key) as path:
        return ReferenceRun.of_path(path, schedule)


run(main, globals().get("snakemake"))
