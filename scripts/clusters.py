"""Groups the units into clusters of similar curvature and draws sequences that represent each."""

from trainorder.expansion.clusters import Clusters, draw_pools, gradient_clusters, label_clusters
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    problem = context.problem
    with job.meter.time("precompute"):
        if p["clusters"] == "domains":
            labels = label_clusters(problem.corpus.unit_domains)
        else:
            theta = context.start().parameters
            labels = gradient_clusters(problem, theta, p["clusters"], p["seed"])
        pools = draw_pools(labels, problem.sequences, p["pool"], p["seed"])
    Clusters(labels, pools).save(job.output["clusters"], context.key)


run(main, globals().get("snakemake"))
