"""Compares the estimated maps of memorization and generalization with the retrained cells."""

import numpy as np

from trainorder.data.metrics import domain_metrics
from trainorder.evaluation.outcomes import read_truth
from trainorder.memorization.forgetting import forgetting
from trainorder.memorization.map_slope import agreement, calibrated_maps
from trainorder.memorization.maps import MAPS, OWN, QUANTITIES, estimated_maps, true_maps
from trainorder.memorization.poisoned import poisoned_effects
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import read_json, write_json
from trainorder.storage.sealed_hdf5 import opened, read_arrays, write_arrays
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, key = job.params, job.params["key"]
    orders = OrderBook.load(job.input["orders"])
    unit_domains, steps = orders.unit_domains, len(orders.reference.schedule)
    drawn = read_json(job.input["positions"], "positions")
    validation = read_json(job.input["validation"], "validate")
    domains = [metric.partition("/")[2] for metric in domain_metrics(validation["metrics"])]
    raw = estimated_maps(
        read_arrays(job.input["maps"], key, "position_maps"), domains, unit_domains
    )
    names = [record["name"] for record in drawn["orders"]]
    truth = read_truth(job.input["truth"], key, names, "position_truth")
    true = true_maps(truth, drawn["orders"], domains, unit_domains, steps)
    settings = (p["validation"]["resamples"], p["validation"]["confidence"], p["seed"])
    sampled = np.zeros((len(unit_domains), steps), dtype=bool)
    sampled[tuple(np.array(drawn["cells"]).T)] = True  # without further cells of poisoned units
    scores = {
        quantity: {
            name: agreement(
                raw[quantity][name],
                np.where(sampled, true[quantity][name], np.nan),
                *settings,
            )
            for name in MAPS
        }
        for quantity in QUANTITIES
    }
    estimated = calibrated_maps(raw, scores)
    with opened(job.input["maps"], key, "position_maps") as file:
        estimator = str(file.attribute("estimator"))
    arrays = {
        f"{source}_{quantity}_{name}": values
        for source, maps in (("estimated", estimated), ("true", true))
        for quantity, by_name in maps.items()
        for name, values in by_name.items()
    }
    write_arrays(job.output["maps"], key, arrays, estimator=estimator)
    write_json(
        job.output["memorization"],
        {
            "study": validation["study"],
            "estimator": estimator,
            "verdict": validation["estimators"][estimator]["verdict"],
            "units": len(unit_domains),
            "steps": steps,
            "unit_domains": unit_domains,
            "retrained": len(drawn["cells"]),
            "agreement": scores,
            "forgetting": forgetting(estimated[OWN]["presence"], unit_domains, *settings),
            "poisoned": poisoned_effects(estimated, true, unit_domains, steps),
            "provenance": {
                name: validation["provenance"][name]
                for name in ("seeds", "versions", "machine", "config")
            },
        },
    )


run(main, globals().get("snakemake"))
