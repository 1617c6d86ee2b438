"""Writes the order explorer: one page that contains the reduced model."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trainorder.curriculum.candidates_file import read_candidates
from trainorder.curvature.low_rank import UnitCores
from trainorder.curvature.reduced_model import ReducedModel
from trainorder.evaluation.outcomes import read_truth
from trainorder.evaluation.results import Results
from trainorder.explorer.compact_model import CompactModel
from trainorder.explorer.page import page
from trainorder.explorer.record import page_record
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import write_text
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    key = job.params["key"]
    results = Results.read(Path(job.input["validation"]).parent)
    if not job.input["maps"]:
        results = replace(results, maps=None)
    model = ReducedModel.load(job.input["along"], key)
    compact = CompactModel.of(model, UnitCores.load(job.input["curvature"], key))
    schedules = torch.tensor([order["schedule"] for order in results.orders.values()])
    record = page_record(
        compact.record(compact.bits(schedules)),
        results,
        OrderBook.load(job.input["orders"]).unit_domains,
        _searched(job.input["candidates"], job.input["candidate_truth"], key),
    )
    write_text(job.output["explorer"], page(record, results))


def _searched(candidates: str, truth_files: Sequence[str], key: str) -> dict[str, dict[str, Any]]:
    """Return the orders that the search retrained by name, with their truth."""
    if not candidates:
        return {}
    orders = read_candidates(candidates)["orders"]
    names = [order["name"] for order in orders]
    truth = read_truth(truth_files, key, names, "candidate_truth")
    values = {
        name: dict(zip(truth.metrics, truth.value[row].tolist(), strict=True))
        for name, row in zip(names, truth.rows(names), strict=True)
    }
    return {
        order["name"]: {
            "schedule": order["schedule"],
            "kind": "heuristic" if order["kind"] == "field" else order["kind"],
            "truth": values[order["name"]],
        }
        for order in orders
    }


run(main, globals().get("snakemake"))
