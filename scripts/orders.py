"""Generates every order of the study; the orders by difficulty need the losses of the units."""

from trainorder.config.sections.orders import OrdersConfig
from trainorder.orders.generate import study_orders
from trainorder.orders.user_files import read_reference
from trainorder.storage.formats import write_json
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    problem, window = context.problem, context.window
    losses = problem.unit_losses(context.start().parameters)
    reference = read_reference(job.input["reference"] or None, window) if p["run"] else None
    orders = study_orders(
        OrdersConfig(**p["orders"]),
        window,
        p["seed"],
        unit_domains=problem.corpus.unit_domains,
        unit_losses=losses,
        reference=reference,
    )
    write_json(job.output["orders"], orders.as_dict(p["study"], window, losses))


run(main, globals().get("snakemake"))
