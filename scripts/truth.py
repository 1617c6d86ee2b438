"""Trains one shard of the study's orders for real, from the state that rule `start` made."""

from trainorder.checkpoints import Checkpoints, read_state
from trainorder.config import OptimizerConfig, WindowConfig
from trainorder.job import Job, run
from trainorder.orders import followed, load_orders
from trainorder.outcome import retrain
from trainorder.problem import LanguageProblem
from trainorder.sketch import SparseJL
from trainorder.store import write_arrays


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    window = WindowConfig(**p["window"])
    start = read_state(job.input["warm"], p["key"], p["start"])
    orders = load_orders(job.input["orders"])
    mine, identity = orders[p["shard"] :: p["shards"]], job.identity()
    checkpoints = [
        Checkpoints(p["work"], f"{identity}/{i}", p["checkpoint_every"]) for i in range(len(mine))
    ]
    outcome = retrain(
        problem,
        start,
        mine,
        OptimizerConfig(**p["optimizer"]),
        window.horizon,
        followed(orders, p["trajectories"]),
        SparseJL(problem.size, p["sketch_rows"]),
        checkpoints,
    )
    write_arrays(job.output["truth"], p["key"], outcome)
    for saved in checkpoints:
        saved.clear()


run(main, globals().get("snakemake"))
