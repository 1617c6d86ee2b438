"""Measures how a small change of the parameters grows over the window."""

import sys

from trainorder.evaluation.measured_studies import measured_studies, what_to_expect
from trainorder.evaluation.perturbed_training import DIRECTIONS, first_steps, responses
from trainorder.evaluation.predictability import Predictability, predictability_record
from trainorder.orders.generate import further_schedules
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import write_json
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    reference = OrderBook.load(job.input["orders"]).reference.schedule
    with job.meter.time("training"):
        measured = responses(
            context.problem,
            context.optimizer,
            context.start(),
            reference,
            further_schedules(context.window, p["seed"], DIRECTIONS),
        )
    gradients, window = job.meter.total["gradients"], context.window
    record = predictability_record(
        measured,
        study=p["study"],
        first_steps=first_steps(len(reference)),
        gradients=gradients,
        retrainings=gradients / (window.steps * window.sequences_per_step),
        confidence=p["confidence"],
    )
    write_json(job.output["predictability"], record)
    # For the terminal of the user: estimates need it before they start.
    predictability = Predictability.of(record)
    lines = [f"predictability: {predictability.as_text()}"]
    if expected := what_to_expect(predictability.expectation, measured_studies()):
        lines.append(f"what to expect: {expected}")
    print("\n".join(lines), file=sys.__stdout__, flush=True)


run(main, globals().get("snakemake"))
