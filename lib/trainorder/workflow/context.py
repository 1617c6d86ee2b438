"""The objects that most jobs need: learning problem, optimizer and start of the window.

Orders and the stored expansion are opened by `orders.order_book.OrderBook`, `expansion.store` and
`estimators.open_estimator`. They are not part of `Context`: a job's code hash covers all modules
that its script imports, and an edit of these modules must not rerun jobs that only train.
"""

from functools import cached_property

from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.training.checkpoints import Checkpoints, read_loss_scale, read_state
from trainorder.training.optimizer import Optimizer, State, build_optimizer
from trainorder.training.problem import LanguageProblem
from trainorder.training.weight_decay import build_for
from trainorder.workflow.job import Job


class Context:
    """The inputs and params of a job as objects; each is built at its first use.

    Attributes:
        job: the job; its input `corpus` and its params `problem`, `window`, `optimizer` and `key`
            are read when an attribute needs them.

    """

    def __init__(self, job: Job) -> None:
        self.job = job

    @property
    def key(self) -> str:
        """The study key that the stored files carry."""
        return str(self.job.params["key"])

    @cached_property
    def window(self) -> WindowConfig:
        """The steps under study."""
        return WindowConfig(**self.job.params["window"])

    @cached_property
    def optimizer_config(self) -> OptimizerConfig:
        """The settings of the optimizer, for training with `torch.optim`."""
        return OptimizerConfig(**self.job.params["optimizer"])

    @cached_property
    def optimizer(self) -> Optimizer:
        """The optimizer for replays.

        Raises:
            UserError: a pattern of `optimizer.no_decay` matches no parameter.

        """
        config, horizon = self.optimizer_config, self.window.horizon
        if config.no_decay is None:
            return build_optimizer(config, horizon)
        return build_for(self.problem.model, config, horizon)

    @cached_property
    def problem(self) -> LanguageProblem:
        """Model and text; the job's meter counts its passes.

        Raises:
            UserError: the corpus is missing, damaged or belongs to another study.

        """
        job, settings = self.job, dict(self.job.params["problem"])
        if "loss_scale" in settings and settings["loss_scale"] is None:
            settings["loss_scale"] = read_loss_scale(job.input["warm"], self.key)
        return LanguageProblem.load(job.input["corpus"], job.meter, **settings)

    def start(self) -> State:
        """Read the state before the window, (P,) each, from the input `warm`.

        Raises:
            UserError: the file is missing, damaged or belongs to another study.

        """
        return read_state(self.job.input["warm"], self.key, self.job.params.get("start", "warm"))

    def checkpoints(self, every: int, *, keep_all: bool = False, suffix: str = "") -> Checkpoints:
        """Return the resumable states of this job; they depend on all its inputs and params.

        Args:
            every: steps between two states.
            keep_all: whether to keep all states instead of the last one.
            suffix: names one of several trainings of the job.

        """
        name = f"{self.identity}/{suffix}" if suffix else self.identity
        return Checkpoints(self.job.params["work"], name, every, keep_all)

    @cached_property
    def identity(self) -> str:
        """A hash of all inputs and params."""
        return self.job.identity()
