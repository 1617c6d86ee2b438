"""Draws the positions of units that are retrained, and writes their schedules.

Poisoned units are retrained at three positions in addition.
"""

from typing import Any

import numpy as np

from trainorder.memorization.moves import moves, stratified
from trainorder.memorization.poisoned import poisoned_cells
from trainorder.orders.order import Order
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import write_json
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    orders = OrderBook.load(job.input["orders"])
    reference = orders.reference
    schedule = reference.schedule
    steps, domains = len(schedule), orders.unit_domains
    cells = stratified(schedule.size, steps, p["retrained"], p["seed"]).tolist()
    further = [cell for cell in poisoned_cells(domains, steps) if cell not in cells]
    records = [{**_record("reference", schedule, reference), "units": list(range(schedule.size))}]
    for way, move in moves(schedule, domains).items():
        for unit, step in [*cells, *further]:
            name = f"{way}-unit-{unit:04d}-step-{step:04d}"
            record = _record(name, move(schedule, unit, step), reference)
            records.append({**record, "kind": way, "units": [unit], "step": step})
    write_json(job.output["positions"], {"cells": cells, "orders": records})


def _record(name: str, schedule: np.ndarray, reference: Order) -> dict[str, Any]:
    return Order(name, "reference", "memorization", schedule).as_dict(reference)


run(main, globals().get("snakemake"))
