"""Joins truth and estimates into the result files, with intervals, verdicts and costs."""

from trainorder.config import EstimatorConfig
from trainorder.job import Job, run
from trainorder.validation import Inputs, Outputs, Settings, validate


def main(job: Job) -> None:
    summary = validate(
        Inputs(**job.input),
        Outputs(**job.output),
        [EstimatorConfig(**entry) for entry in job.params["estimators"]],
        Settings(**job.params["validation"], seed=job.params["seed"]),
        job.params["config"],
        job.params["key"],
    )
    for name, score in summary["estimators"].items():
        print(f"{name}: {score['verdict']}: {score['verdict_reason']}. {score['advice']}")


run(main, globals().get("snakemake"))
