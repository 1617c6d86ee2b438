"""What jobs request: memory, time and a GPU."""

from functools import cached_property

from trainorder.config.sections.model import ModelConfig
from trainorder.workflow.job_resources import JobResources, Request, most_parameters, vectors_mb
from trainorder.workflow.stages.study import StudySettings


class ResourceSettings(StudySettings):
    """The `resources:` of the rules."""

    @cached_property
    def _job_resources(self) -> JobResources:
        model = ModelConfig(**self.config["model"])
        parameters = most_parameters(model, self.config["corpus"]["vocabulary"])
        vectors = vectors_mb(parameters, self.config["memory_gb"])
        return JobResources(vectors, cuda=self.config["device"] == "cuda")

    def resources(
        self, *, megabytes: int, minutes: int, vectors: bool = False, device: bool = False
    ) -> dict[str, int | Request]:
        """Return the `resources:` of a rule, as `JobResources.request` describes them."""
        return self._job_resources.request(
            megabytes=megabytes, minutes=minutes, vectors=vectors, device=device
        )

    def model_resources(self, *, minutes: int) -> dict[str, int | Request]:
        """Return the `resources:` of a rule that computes with the model on the device."""
        return self.resources(megabytes=1500, minutes=minutes, vectors=True, device=True)
