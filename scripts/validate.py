"""Joins truth and estimates into the result files, with intervals, verdicts and costs."""

from trainorder.job import Job, run
from trainorder.validation import Inputs, Outputs, validate


def main(job: Job) -> None:
    summary = validate(
        Inputs(**job.input), Outputs(**job.output), job.params["config"], job.params["key"]
    )
    for name, score in summary["estimators"].items():
        print(f"{name}: {score['verdict']}: {score['verdict_reason']}")


run(main, globals().get("snakemake"))
