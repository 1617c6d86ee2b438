"""Draws the positions of units that are retrained, and writes their schedules."""

from typing import Any

import numpy as np

from trainorder.memorization.moves import moves, stratified
from trainorder.orders.order import Order
from trainorder.orders.order_book import load_orders, load_unit_domains
from trainorder.storage.formats import write_json
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    reference = load_orders(job.input["orders"])[0]
    base, domains = reference.schedule, load_unit_domains(job.input["orders"])
    cells = stratified(base.size, len(base), p["retrained"], p["seed"])
    records = [{**_record("reference", base, reference), "units": list(range(base.size))}]
    for way, move in moves(base, domains).items():
        for unit, step in cells.tolist():
            name = f"{way}-unit-{unit:04d}-step-{step:04d}"
            record = _record(name, move(base, unit, step), reference)
            records.append({**record, "kind": way, "units": [unit], "step": step})
    write_json(job.output["positions"], {"cells": cells.tolist(), "orders": records})


def _record(name: str, schedule: np.ndarray, reference: Order) -> dict[str, Any]:
    return Order(name, "reference", "memorization", schedule).as_dict(reference)


run(main, globals().get("snakemake"))
