"""Makes every order of the study; those by difficulty need the warm model's losses."""

from trainorder.config.sections import OrdersConfig, WindowConfig
from trainorder.orders.generate import study_orders
from trainorder.orders.user_files import read_reference
from trainorder.storage.formats import write_json
from trainorder.training.checkpoints import read_state
from trainorder.training.problem import LanguageProblem
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    window = WindowConfig(**p["window"])
    losses = problem.unit_losses(read_state(job.input["warm"], p["key"], "warm").parameters)
    domains = problem.corpus.unit_domains
    reference = read_reference(job.input["reference"], window) if job.input["reference"] else None
    orders = study_orders(
        OrdersConfig(**p["orders"]), window, p["seed"], domains, losses, reference
    )
    content = {
        "study": p["study"],
        "steps": window.steps,
        "units": window.units,
        "units_per_step": window.units_per_step,
        "unit_domains": domains,
        "unit_losses": losses.tolist(),
        "orders": [order.as_dict(orders[0]) for order in orders],
    }
    write_json(job.output["orders"], content)


run(main, globals().get("snakemake"))
