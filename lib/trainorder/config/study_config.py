"""The whole configuration of a study, parsed once."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from trainorder.config import checks
from trainorder.config.messages import first_error, missing_key
from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.curriculum import CurriculumConfig
from trainorder.config.sections.curvature import CurvatureConfig
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.expansion import ExpansionConfig
from trainorder.config.sections.ladder import LadderConfig
from trainorder.config.sections.memorization import MemorizationConfig
from trainorder.config.sections.model import ModelConfig
from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.config.sections.orders import OrdersConfig
from trainorder.config.sections.run import RunConfig
from trainorder.config.sections.seeds import Seeds
from trainorder.config.sections.shards import ShardsConfig
from trainorder.config.sections.validation import ValidationConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.config.types import CLOSED, Flag, Integer, Natural, Number, Positive, StudyName
from trainorder.errors import UserError


def _default_estimators() -> list[EstimatorConfig]:
    few = {"calibration": 0, "random": 8, "structured": 0}
    two = {"calibration": 0, "random": 2, "structured": 0}
    entries: list[dict[str, Any]] = [
        {"method": "constant", "path": "reference"},
        {"method": "order0", "path": "reference"},
        {"method": "order0", "path": "barycentre"},
        {"method": "fut", "path": "reference", "guard": 1.0},
        {"method": "fut", "path": "reference", "guard": None},
        {"method": "fut++", "path": "reference", "guard": 1.0},
        {"method": "taylor1", "path": "reference", "orders": two},
        {"method": "taylor1", "path": "barycentre", "orders": few},
        {"method": "taylor2", "path": "barycentre", "orders": two},
        {"method": "nystrom", "path": "barycentre"},
        {"method": "subsample", "path": "barycentre", "size": 10},
        {"method": "corrected", "path": "reference", "runs": 24},
        {"method": "reduced", "path": "barycentre"},
        {
            "method": "recency",
            "path": "barycentre",
            "tail": 8,
            "orders": {"calibration": 8, "random": 16, "structured": 0},
        },
        {"method": "ridge"},
        {"method": "simfluence"},
        {"method": "adjoint", "path": "reference"},
        {"method": "proxy", "orders": {"calibration": 8, "random": 8, "structured": 0}},
    ]
    return [EstimatorConfig(**entry) for entry in entries]


@dataclass(frozen=True, config=CLOSED)
class Config:
    """The configuration of a study. Without arguments it is the default study."""

    study: StudyName = "default"
    """Name of the study: results are in results/<study>/."""
    seeds: Seeds = field(default_factory=Seeds)
    threads: Annotated[Integer, Field(ge=1, le=1024)] = 1
    """torch threads of each job. Results depend on it in the last digits."""
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    """Device of losses and derivatives: cpu, cuda (a GPU), or auto (cuda where Snakemake sees a
    GPU). Results depend on it in the last digits."""
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    window: WindowConfig = field(default_factory=WindowConfig)
    run: RunConfig | None = None
    """An existing run that is the reference: {recording: FOLDER}, or {checkpoints: FOLDER, order:
    FILE} with corpus.source tokens, see docs/run.md. null: the study trains the reference."""
    orders: OrdersConfig = field(default_factory=OrdersConfig)
    expansion: ExpansionConfig = field(default_factory=ExpansionConfig)
    curvature: CurvatureConfig = field(default_factory=CurvatureConfig)
    estimators: Annotated[list[EstimatorConfig], Field(min_length=1)] = field(
        default_factory=_default_estimators
    )
    """The estimators to compare."""
    ladder: LadderConfig = field(default_factory=LadderConfig)
    curriculum: CurriculumConfig | None = field(default_factory=CurriculumConfig)
    memorization: MemorizationConfig | None = field(default_factory=MemorizationConfig)
    averaged_states: Annotated[Integer, Field(ge=2)] | None = None
    """Last states of the window whose mean gives a second set of metrics, averaged_heldout and
    averaged_heldout/<domain>: averaged weights. null: none."""
    multiple_choice: Annotated[Integer, Field(ge=2)] | None = None
    """Choices of each question of a task made from held-out text: the true continuation of a
    sequence among others. Its metrics are choice_accuracy and choice_probability. null: none."""
    trajectories: Natural = 4
    """Orders whose error is followed along the window."""
    stepwise_losses: Flag = False
    """Whether the held-out losses of the orders of trajectories are also taken at every step,
    estimated and true. Each step of an order costs an evaluation."""
    sketch_rows: Annotated[Integer, Field(ge=16)] = 16384
    """Rows of the sparse JL sketch that parameter errors are computed from."""
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    checkpoint_every: Positive = 100
    """Steps between the states from which a trainer can resume."""
    memory_gb: Annotated[Number, Field(ge=0)] = 4
    """Memory for parameter vectors of a job. More vectors go to temporary files (TMPDIR). Results
    do not depend on it."""
    shards: ShardsConfig = field(default_factory=ShardsConfig)

    @model_validator(mode="after")
    def _check(self) -> "Config":
        checks.check_sections(self)
        return self


def parse(config: Mapping[str, Any]) -> Config:
    """Return the typed configuration of plain nested mappings, once all its values are checked.

    `config.files.check_files` checks the files that it names.

    Raises:
        UserError: the first thing that is wrong: its key, what was expected and what to do.

    """
    try:
        parsed = Config(**{str(key): value for key, value in config.items()})
    except ValidationError as error:
        message, is_unknown_key = first_error(error, Config)
        missing = None if is_unknown_key else missing_key(config, Config)
        raise UserError(f"config: {missing or message}") from None
    if missing := missing_key(config, Config):
        raise UserError(f"config: {missing}")
    return parsed
