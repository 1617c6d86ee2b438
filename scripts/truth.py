"""Trains one shard of some orders for real, from the state that rule `start` made.

The order `reference` of an existing run is not trained: its states are those of the run's path.
"""

from contextlib import ExitStack

from trainorder.config.sections import OptimizerConfig, WindowConfig
from trainorder.evaluation.retraining import TrainingSetup, retrain_orders
from trainorder.expansion.path import StoredPath
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order_book import followed, load_orders, load_units, to_retrain
from trainorder.storage.sealed_hdf5 import opened, write_arrays
from trainorder.training.checkpoints import Checkpoints, read_state
from trainorder.training.problem import LanguageProblem
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    window = WindowConfig(**p["window"])
    start = read_state(job.input["warm"], p["key"], p["start"])
    orders = load_orders(job.input["orders"])
    mine = to_retrain(orders, p["bounds"])[p["shard"] :: p["shards"]]
    identity = job.identity()
    folder = Checkpoints(p["work"], identity, p["checkpoint_every"])

    def checkpoints(order: int, readout: int) -> Checkpoints:
        return Checkpoints(p["work"], f"{identity}/{order}-{readout}", p["checkpoint_every"])

    with ExitStack() as stack:
        run_path = None
        if path := job.input.get("path"):
            file = stack.enter_context(opened(path, p["key"], "reference"))
            run_path = StoredPath(file)
        training = TrainingSetup(
            start,
            OptimizerConfig(**p["optimizer"]),
            window.horizon,
            window.readouts(p["readouts"]),
            checkpoints,
            run_path,
        )
        outcome = retrain_orders(
            problem,
            mine,
            training,
            followed(orders, p["trajectories"]),
            SparseJL(problem.size, p["sketch_rows"]),
            load_units(job.input["orders"]),
        )
    write_arrays(job.output["truth"], p["key"], outcome)
    folder.clear()


run(main, globals().get("snakemake"))
