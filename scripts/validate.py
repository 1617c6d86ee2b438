"""Joins truth and estimates into the result files, with intervals, verdicts and costs."""

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.evaluation.scores import IntervalSettings
from trainorder.evaluation.validation import ValidationInputs, ValidationOutputs, validate
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    summary = validate(
        ValidationInputs(**job.input),
        ValidationOutputs(**job.output),
        [EstimatorConfig(**entry) for entry in job.params["estimators"]],
        IntervalSettings(**job.params["validation"], seed=job.params["seed"]),
        job.params["config"],
        job.params["key"],
    )
    for name, score in summary["estimators"].items():
        print(f"{name}: {score['verdict']}: {score['verdict_reason']}. {score['advice']}")


run(main, globals().get("snakemake"))
