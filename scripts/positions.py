"""Draws the positions of units that are retrained, and writes their schedules."""

from typing import Any

import numpy as np

from trainorder.memorization.moves import moves, stratified
from trainorder.orders.order import Order
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import write_json
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    orders = OrderBook.load(job.input["orders"])
    reference = orders.reference
    schedule = reference.schedule
    cells = stratified(schedule.size, len(schedule), p["retrained"], p["seed"])
    records = [{**_record("reference", schedule, reference), "units": list(range(schedule.size))}]
    for way, move in moves(schedule, orders.unit_domains).items():
        for unit, step in cells.tolist():
            name = f"{way}-unit-{unit:04d}-step-{step:04d}"
            record = _record(name, move(schedule, unit, step), reference)
            records.append({**record, "kind": way, "units": [unit], "step": step})
    write_json(job.output["positions"], {"cells": cells.tolist(), "orders": records})


def _record(name: str, schedule: np.ndarray, reference: Order) -> dict[str, Any]:
    return Order(name, "reference", "memorization", schedule).as_dict(reference)


run(main, globals().get("snakemake"))
