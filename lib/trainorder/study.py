"""The Python interface to a finished study: estimates, retraining, search and position maps."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from trainorder.config.estimator_names import SCREENING, method_of
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.curriculum.constraints import Constraints
from trainorder.curriculum.effects import LEAST_SCHEDULES
from trainorder.curriculum.objective import Objective
from trainorder.curriculum.search import Proposal, proposals
from trainorder.curvature.reduced_model import ReducedModel
from trainorder.data.metrics import metric_values
from trainorder.errors import UserError
from trainorder.estimators.open_estimator import opened_estimator
from trainorder.estimators.open_predictor import Predictor, load_predictor
from trainorder.evaluation.calibrated_range import is_beyond
from trainorder.evaluation.ladder import selected_config
from trainorder.evaluation.predictability import Predictability
from trainorder.evaluation.readouts import evaluate_readout
from trainorder.evaluation.recalibration import Recalibration
from trainorder.evaluation.replaying import batch_size
from trainorder.evaluation.result_files import CHECKSUMS
from trainorder.evaluation.results import Results
from trainorder.evaluation.retraining import TrainingSetup, retrain_orders
from trainorder.evaluation.verdict import selected_estimator
from trainorder.expansion.store import Store
from trainorder.memorization.estimates import estimates_at_all_positions, reduced_estimate
from trainorder.memorization.maps import Maps, estimated_maps
from trainorder.numerics.countsketch import SparseJL
from trainorder.numerics.memory_budget import DEFAULT_GB, hold_at_most
from trainorder.orders.order import Order
from trainorder.orders.order_book import OrderBook
from trainorder.orders.user_files import check_order
from trainorder.training.averaged_states import AveragedStates
from trainorder.training.checkpoints import Checkpoints, read_loss_scale
from trainorder.training.meter import Meter
from trainorder.training.problem import LanguageProblem
from trainorder.training.weight_decay import build_for

ADDED = "corrected@reference"  # what a study without estimators of further orders should add


@dataclass(frozen=True)
class Value:
    """An estimated metric: a loss in nats per token, or a share of the multiple-choice task.

    Attributes:
        raw: what the estimator gives.
        value: the estimate: `raw`, recalibrated on the calibration orders.
        low: lower end of the prediction interval; None without calibration.
        high: upper end of the prediction interval; None without calibration.
        beyond: whether `raw` is outside the range of the calibration orders; None without
            calibration.

    """

    raw: float
    value: float
    low: float | None
    high: float | None
    beyond: bool | None


@dataclass(frozen=True)
class Estimate:
    """The estimated result of training on an order.

    Attributes:
        order: name of the order.
        estimator: name of the estimator.
        values: estimated metrics by name; `heldout` is the mean held-out loss. Names that
            begin with `averaged_` are metrics of the averaged weights, and those that begin with
            `choice_` are of the multiple-choice task, which an estimator without parameters lacks.
        verdict: `trusted`, `rank only`, `not trusted` or `not calibrated`: how far this study
            supports the estimator.
        advice: what the estimates may be used for, in one sentence.
        parameters: (P,) parameters at the end of the window; None if the estimator predicts
            metrics only.

    """

    order: str
    estimator: str
    values: Mapping[str, Value]
    verdict: str
    advice: str
    parameters: Tensor | None


@dataclass
class Study:
    """A finished study: its results, and its stored expansion for further estimates.

    Attributes:
        folder: `results/<study>`.
        results: content of the result files.
        config: the configuration of the study.
        orders: all orders by name. Their schedules are read-only; `schedule.copy()` returns an
            array that can be changed.

    Examples:
        >>> from trainorder import Study
        >>> study = Study.open("results/default")  # doctest: +SKIP
        >>> estimate = study.estimate(study.orders["reversed"])  # doctest: +SKIP
        >>> round(estimate.values["heldout"].value, 4), estimate.verdict  # doctest: +SKIP
        (3.3209, 'trusted')

    """

    folder: Path
    results: Results
    config: Mapping[str, Any]
    orders: OrderBook
    _predictors: dict[str, Predictor] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def open(cls, folder: str | Path) -> "Study":
        """Open the study in `folder`; the store is opened when it is needed.

        From now on the process keeps at most `memory_gb` of parameter vectors in memory, as the
        jobs of the study do, and further vectors in temporary files.

        Args:
            folder: `results/<study>` of a finished study.

        Raises:
            UserError: the folder holds no finished study, or a result file is damaged.

        Examples:
            >>> study = Study.open("results/default")  # doctest: +SKIP
            >>> study.metrics[:3]  # doctest: +SKIP
            ['heldout', 'heldout/scripture', 'heldout/drama']

        """
        study = cls.read(folder)
        hold_at_most(study.config.get("memory_gb", DEFAULT_GB))
        return study

    @classmethod
    def read(cls, folder: str | Path) -> "Study":
        """Open the study in `folder`, without a new memory limit.

        For jobs of the workflow, which have set the limit already; otherwise like `open`.
        """
        folder = Path(folder)
        if not (folder / "validation.json").is_file():
            raise UserError(
                f"{folder}: no finished study; expected a folder results/<study> with "
                "validation.json; run the study first"
            )
        results = Results.read(folder)
        orders = OrderBook.load(folder / "orders.json")
        for order in orders.values():  # a change in place would change the study
            order.schedule.setflags(write=False)
        return cls(folder, results, results.validation["provenance"]["config"], orders)

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, `heldout` first."""
        return self.results.metrics

    @property
    def predictability(self) -> Predictability:
        """Growth of small changes over the window, and what it means for estimates.

        Raises:
            UserError: the study was made by a version that did not measure it.

        Examples:
            >>> study = Study.open("results/default")  # doctest: +SKIP
            >>> print(study.predictability.as_text())  # doctest: +SKIP

        """
        return self.results.predictability

    @property
    def window(self) -> WindowConfig:
        """The steps under study."""
        return WindowConfig(**self.config["window"])

    @cached_property
    def unit_domains(self) -> list[str]:
        """Domain of each unit; `mixed` for a unit with text of several domains."""
        return self.orders.unit_domains

    @cached_property
    def problem(self) -> LanguageProblem:
        """The learning problem: model and text.

        On a GPU if the study used one and this machine has one.
        """
        return LanguageProblem.load(
            str(self.folder / "corpus.h5"),
            Meter(),
            None,
            self.config["model"],
            self.config["seeds"]["init"],
            self.config["threads"],
            "auto" if self.config.get("device") == "cuda" else "cpu",
            self._choices,
            self._loss_scale,
        )

    @cached_property
    def store(self) -> Store:
        """The stored expansion.

        Raises:
            UserError: the study has no store, or its manifest is damaged.

        """
        folder = self.folder / "store"
        if (self.folder / CHECKSUMS).exists() and not (folder / "manifest.json").exists():
            raise UserError(
                f"{self.folder}: this study was unpacked from an archive, which has no gradient "
                "store; run the study here to ask for estimates"
            )
        return Store.open(folder)

    @cached_property
    def reduced(self) -> ReducedModel:
        """The reduced model about the barycentre, or about the only path that has one.

        Raises:
            UserError: the study has no reduced model.

        """
        names = [config.name for config in self._replaying()]
        name = SCREENING if SCREENING in names else method_of(SCREENING).name
        return cast(ReducedModel, self._predictor(self._config(name)))

    @property
    def default_estimator(self) -> str:
        """The estimator of `estimate`: the cheapest one with the best verdict on this study.

        Raises:
            UserError: no estimator of the study can estimate further orders.

        """
        names = [config.name for config in self._replaying()]
        if not names:
            raise UserError(
                f"{self.folder}: no estimator of this study can estimate further orders; add "
                f"`{ADDED}` to `estimators` of its configuration and run the study again"
            )
        return selected_estimator({name: self.results.score(name) for name in names})

    def estimate(self, order: Order, estimator: str | None = None) -> Estimate:
        """Return the estimated result of training on `order`, recalibrated, with intervals.

        Args:
            order: any order that fills the window.
            estimator: name of an estimator of the study, for example `nystrom@barycentre`, or its
                method if only one estimator has that method; None for `default_estimator`.

        Raises:
            UserError: the order does not fill the window, or the study has no such estimator.

        Examples:
            >>> from trainorder import Study
            >>> study = Study.open("results/default")  # doctest: +SKIP
            >>> order = study.orders["reversed"]  # or Order.from_json(...)  # doctest: +SKIP
            >>> estimate = study.estimate(order, estimator="reduced")  # doctest: +SKIP
            >>> value = estimate.values["heldout"]  # doctest: +SKIP
            >>> print(f"{value.value:.4f} [{value.low:.4f}, {value.high:.4f}]")  # doctest: +SKIP
            3.3209 [3.3198, 3.3219]

        """
        [estimate] = self.estimates([order], estimator)
        return estimate

    def estimates(
        self, orders: Iterable[Order], estimator: str | None = None
    ) -> Iterator[Estimate]:
        """Yield the estimated result of training on each of `orders`, replayed in batches.

        This is faster than one call of `estimate` for each order; arguments and errors are the
        same.

        Examples:
            >>> study = Study.open("results/default")  # doctest: +SKIP
            >>> orders = study.orders.of_split("structured")  # doctest: +SKIP
            >>> for estimate in study.estimates(orders[:2]):  # doctest: +SKIP
            ...     print(estimate.order, f"{estimate.values['heldout'].value:.4f}")
            reversed 3.3209
            domain-sorted 3.3333

        """
        checked = [check_order(order, self.window) for order in orders]
        if not checked:
            return
        config = self._config(estimator or self.default_estimator)
        score = self.results.score(config.name)
        ranges = score["calibrated_range"]
        recalibrations = {
            name: self.results.recalibration(config.name, name) for name in self.metrics
        }
        for order, (metrics, theta) in zip(checked, self._ends(config, checked), strict=True):
            values = {
                name: _value(float(value), recalibrations[name], ranges[name])
                for name, value in zip(self.metrics, metrics, strict=False)
            }
            yield Estimate(
                order.name, config.name, values, score["verdict"], score["advice"], theta
            )

    def _ends(
        self, config: EstimatorConfig, orders: Sequence[Order]
    ) -> Iterator[tuple[np.ndarray, Tensor | None]]:
        """Yield metrics (M,) and parameters (P,), if any, at the end of each of `orders`.

        An estimator without parameters gives losses only, which come first among the metrics.
        """
        schedules = torch.from_numpy(np.stack([order.schedule for order in orders]))
        if config.descriptor.rule == "predict":
            predictor = self._predictor(config)
            for losses in predictor.predict(schedules).double().numpy():
                yield metric_values(losses, len(predictor.goals)), None
            return
        store = self.store  # before the problem: its message is clearer for an unpacked archive
        optimizer = build_for(self.problem.model, self._optimizer_config, self.window.horizon)
        seed = self.config["seeds"]["order"]
        if config.size_is_open:
            config = selected_config(config, self.results.ladder or {})
        with opened_estimator(config, self.problem, optimizer, store=store, seed=seed) as estimator:
            for batch in schedules.split(batch_size(self.problem.size)):
                averages = AveragedStates([self.window.steps], self._averaged_states)
                ends = estimator.replay(batch, averages.add)
                averaged = averages.take(self.window.steps)
                for row, theta in enumerate(ends):
                    mean = None if averaged is None else averaged[row : row + 1]
                    yield evaluate_readout(self.problem, theta[None], mean)[0], theta.clone()

    def retrain(self, order: Order) -> dict[str, float]:
        """Train on `order` with `torch.optim` and return the true metrics, in nats per token.

        Raises:
            UserError: the order does not fill the window, or the training diverges.

        Examples:
            >>> study = Study.open("results/default")  # doctest: +SKIP
            >>> round(study.retrain(study.orders["reversed"])["heldout"], 4)  # doctest: +SKIP
            3.3204

        """
        order = check_order(order, self.window)
        start = self.store.start()
        with TemporaryDirectory() as work:
            training = TrainingSetup(
                start,
                self._optimizer_config,
                self.window.horizon,
                [self.window.steps],
                lambda place, readout: Checkpoints(work, "run", self.window.steps),
                averaged_states=self._averaged_states,
            )
            outcome = retrain_orders(
                self.problem,
                [order],
                training,
                followed=[],
                sketch=SparseJL(self.problem.size, 16),
                units={},
            )
        return dict(zip(outcome["metric"], outcome["value"][0].tolist(), strict=True))

    def search(
        self,
        objective: Mapping[str, float],
        constraints: Constraints | None = None,
        random: int = 2048,
        rounds: int = 60,
        seed: int = 0,
    ) -> list[Proposal]:
        """Return the orders that several searches propose with the reduced model, the best first.

        Their scores are raw objectives, without the recalibration of `estimate`.

        Args:
            objective: weight of each metric; the weighted sum is minimized.
            constraints: which orders are allowed; None for all.
            random: number of random orders that the effects of positions are estimated from.
            rounds: generations of the genetic search, and batches of the local search.
            seed: of all random choices.

        Raises:
            UserError: no metric or an unknown one, too few random orders, no reduced model, or
                constraints that no order meets.

        Examples:
            >>> study = Study.open("results/default")  # doctest: +SKIP
            >>> best = study.search({"heldout": 1.0})[0]  # doctest: +SKIP
            >>> best.schedule.shape  # doctest: +SKIP
            (32, 1)

        """
        if random < LEAST_SCHEDULES:
            raise UserError(
                f"random: expected at least {LEAST_SCHEDULES} random orders, got {random}; a few "
                "hundred are enough"
            )
        reduced, weighted = self.reduced, Objective(objective)

        def score(schedules: np.ndarray) -> np.ndarray:
            losses = reduced.predict(torch.from_numpy(schedules)).double().numpy()
            return weighted.of_domains(reduced.goals, losses)

        unconstrained = Constraints(self.orders.reference.schedule, self.unit_domains)
        return proposals(score, constraints or unconstrained, random, rounds, seed)

    def maps(self) -> Maps:
        """Return the estimated effect of each position of each unit, with the reduced model.

        The result is `maps[quantity][way]`, (U, T) in nats per token, with `quantity` one of `own`,
        `same` and `other` (whose loss changes) and `way` one of `swap`, `insertion` and `presence`
        (how the unit moves); see `memorization.maps`.

        Raises:
            UserError: the study has no reduced model.

        Examples:
            >>> study = Study.open("results/default")  # doctest: +SKIP
            >>> study.maps()["own"]["presence"].shape  # doctest: +SKIP
            (32, 32)

        """
        schedule, reduced = self.orders.reference.schedule, self.reduced
        arrays = estimates_at_all_positions(schedule, self.unit_domains, reduced_estimate(reduced))
        return estimated_maps(arrays, reduced.goals, self.unit_domains)

    @property
    def _averaged_states(self) -> int | None:
        count: int | None = self.config.get("averaged_states")
        return count

    @property
    def _choices(self) -> dict[str, int] | None:
        """The multiple-choice task of the study, if it has one."""
        count = self.config.get("multiple_choice")
        return {"count": count, "seed": self.config["seeds"]["data"]} if count else None

    @property
    def _loss_scale(self) -> float:
        """The loss scale: that of an existing run, stated or detected."""
        start, run = self.folder / "store/warm.h5", self.config.get("run") or {}
        if stated := run.get("loss_scale"):
            return float(stated)
        return read_loss_scale(start, None) if run and start.exists() else 1.0

    @property
    def _optimizer_config(self) -> OptimizerConfig:
        return OptimizerConfig(**self.config["optimizer"])

    def _predictor(self, config: EstimatorConfig) -> Predictor:
        """Return what an estimator of rule `predict` reads from the store; it is read once."""
        if config.name not in self._predictors:
            [kind] = config.descriptor.reads
            file = self.store.folder / config.path / f"{kind}.h5"
            self._predictors[config.name] = load_predictor(config.method, file, self.store.key)
        return self._predictors[config.name]

    def _replaying(self) -> list[EstimatorConfig]:
        """Return the configurations of the estimators that can estimate any order."""
        configs = [EstimatorConfig(**entry) for entry in self.config["estimators"]]
        return [config for config in configs if not config.descriptor.fitted]

    def _config(self, estimator: str) -> EstimatorConfig:
        """Return the configuration of an estimator by its name, or by its method if it is one."""
        known = self._replaying()
        matches = [config for config in known if config.name == estimator] or [
            config for config in known if config.method == estimator
        ]
        names = ", ".join(config.name for config in known)
        if len(matches) > 1:
            options = ", ".join(config.name for config in matches)
            raise UserError(f"more than one estimator `{estimator}`; name one of {options}")
        if not matches:
            raise UserError(
                f"no estimator `{estimator}` that can estimate further orders; this study has "
                f"{names}; to use another one, add it to `estimators` of its configuration and run "
                "the study again"
            )
        return matches[0]


def _value(raw: float, recalibration: Recalibration, limits: Sequence[float] | None) -> Value:
    beyond = is_beyond(raw, limits) if limits is not None else None
    return Value(raw, *recalibration.estimate(raw), beyond)
