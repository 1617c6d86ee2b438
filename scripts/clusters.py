"""Groups the units into clusters of like curvature, and draws the sequences that stand for each."""

from trainorder.expansion.clusters import Clusters, draw_pools, gradient_clusters, label_clusters
from trainorder.training.checkpoints import read_state
from trainorder.training.problem import LanguageProblem
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    with job.meter.time("precompute"):
        if p["clusters"] == "domains":
            labels = label_clusters(problem.corpus.unit_domains)
        else:
            warm = read_state(job.input["warm"], p["key"], "warm")
            labels = gradient_clusters(problem, warm.parameters, p["clusters"], p["seed"])
        pools = draw_pools(labels, problem.sequences, p["pool"], p["seed"])
    Clusters(labels, pools).save(job.output["clusters"], p["key"])


run(main, globals().get("snakemake"))
