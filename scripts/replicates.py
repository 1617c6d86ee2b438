"""Joins the searches of a study and of its replicates."""

from trainorder.curriculum.replicate_gains import collect
from trainorder.storage.formats import read_json, write_json
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    curricula = [read_json(path, "curriculum") for path in job.input["curricula"]]
    memorization = [read_json(path, "memorization") for path in job.input["memorization"]]
    confidence = job.params["validation"]["confidence"]
    groups = collect(curricula, memorization, confidence)
    content = {"study": curricula[0]["study"], "confidence": confidence, "groups": groups}
    write_json(job.output["replicates"], content)


run(main, globals().get("snakemake"))
