"""A finished study, to ask what-ifs of from Python."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainorder.config.methods import FITTED_METHODS
from trainorder.config.sections import EstimatorConfig, OptimizerConfig, WindowConfig
from trainorder.curriculum.constraints import Constraints
from trainorder.curriculum.objective import Objective
from trainorder.curriculum.search import Proposal, proposals
from trainorder.curvature.reduced_model import ReducedModel
from trainorder.data.metrics import metric_names
from trainorder.errors import UserError
from trainorder.estimators.opening import opened_estimator
from trainorder.evaluation.conformal_intervals import interval_ends, is_beyond
from trainorder.evaluation.replaying import BATCH_NUMBERS
from trainorder.evaluation.result_files import CHECKSUMS
from trainorder.evaluation.results import Results
from trainorder.evaluation.retraining import TrainingSetup, retrain_orders
from trainorder.evaluation.verdict import best_estimator
from trainorder.memorization.estimates import by_reduced, of_all_positions
from trainorder.memorization.maps import Maps, estimated_maps
from trainorder.numerics.countsketch import SparseJL
from trainorder.numerics.memory import DEFAULT_GB, hold_at_most
from trainorder.orders.order import Order
from trainorder.orders.order_book import load_orders, load_unit_domains
from trainorder.orders.user_files import check_order
from trainorder.storage.formats import read_json
from trainorder.training.checkpoints import Checkpoints, read_state
from trainorder.training.meter import Meter
from trainorder.training.optimizer import build_optimizer
from trainorder.training.problem import LanguageProblem

PREFERRED = "nystrom@barycentre"  # cheap, and where it can be trusted, close


@dataclass(frozen=True)
class Value:
    """An estimated metric in nats per token.

    Attributes:
        value: the estimate.
        low: of its split-conformal interval; None where nothing was calibrated.
        high: as `low`.
        beyond: whether it lies outside what was calibrated; None where nothing was.

    """

    value: float
    low: float | None
    high: float | None
    beyond: bool | None


@dataclass(frozen=True)
class Estimate:
    """What an order would lead to.

    Attributes:
        order: its name.
        estimator: that says so.
        values: by metric.
        verdict: of the estimator on this study.
        advice: what may be done with it.
        parameters: (P,) at the window's end; None for an estimator of metrics alone.

    """

    order: str
    estimator: str
    values: Mapping[str, Value]
    verdict: str
    advice: str
    parameters: Tensor | None


class _Orders(dict[str, Order]):
    """Orders by name, of which one that is not there is a user's mistake."""

    def __missing__(self, name: str) -> Order:
        close = difflib.get_close_matches(str(name), self, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(self)}"
        raise UserError(f"no order `{name}` in this study; {hint}")


@dataclass
class Study:
    """The results and the store of a study.

    Attributes:
        folder: of its results.
        results: the result files.
        config: the configuration that it was made with.
        orders: by name; their schedules are read-only, `schedule.copy()` is not.

    """

    folder: Path
    results: Results
    config: Mapping[str, Any]
    orders: dict[str, Order]

    @classmethod
    def open(cls, folder: str | Path) -> "Study":
        """Read the results in `folder`; the store is opened when it is needed.

        From then on the process holds no more vectors than the study's `memory_gb` lets a job.

        Raises:
            UserError: the study is missing or not complete.

        """
        study = cls.read(folder)
        hold_at_most(study.config.get("memory_gb", DEFAULT_GB))
        return study

    @classmethod
    def read(cls, folder: str | Path) -> "Study":
        """Do as `open`, in a job, which has been told what it may hold."""
        folder = Path(folder)
        if not (folder / "validation.json").is_file():
            raise UserError(f"{folder}: no finished study; run it, or name the folder of one")
        results = Results.read(folder)
        orders = _Orders((order.name, order) for order in load_orders(folder / "orders.json"))
        for order in orders.values():  # who swaps steps in place would change the study's own
            order.schedule.setflags(write=False)
        return cls(folder, results, results.validation["provenance"]["config"], orders)

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, `heldout` first."""
        return self.results.metrics

    @property
    def window(self) -> WindowConfig:
        """The steps under study."""
        return WindowConfig(**self.config["window"])

    @cached_property
    def unit_domains(self) -> list[str]:
        """Domain of each unit, or `mixed`."""
        return load_unit_domains(self.folder / "orders.json")

    @cached_property
    def problem(self) -> LanguageProblem:
        """The learning problem: model and text.

        On a GPU if the study was made on one and there is one here.
        """
        return LanguageProblem.load(
            str(self.folder / "corpus.h5"),
            Meter(),
            None,
            self.config["model"],
            self.config["seeds"]["init"],
            self.config["threads"],
            "auto" if self.config.get("device") == "cuda" else "cpu",
        )

    @cached_property
    def key(self) -> str:
        """The hash of what the store belongs to.

        Raises:
            UserError: the study has no store.

        """
        manifest = self.folder / "store" / "manifest.json"
        if (self.folder / CHECKSUMS).exists() and not manifest.exists():
            raise UserError(
                f"{self.folder}: from an archive, which holds results and not what estimates are "
                "made of; run the study here, and open that"
            )
        return str(read_json(manifest, "manifest")["study"])

    @cached_property
    def reduced(self) -> ReducedModel:
        """The reduced model.

        Raises:
            UserError: the study has none.

        """
        path = self._config("reduced").path
        return ReducedModel.load(self.folder / "store" / path / "reduced.h5", self.key)

    @property
    def default_estimator(self) -> str:
        """The one that is asked unless another is named: nystrom@barycentre, or else the best.

        Raises:
            UserError: the study has only estimators that cannot be asked about further orders.

        """
        names = [config.name for config in self._replaying()]
        if not names:
            raise UserError(f"{self.folder}: no estimator of this study takes further orders")
        if PREFERRED in names:
            return PREFERRED
        return best_estimator({name: self.results.score(name) for name in names})

    def estimate(self, order: Order, estimator: str | None = None) -> Estimate:
        """Return what training on `order` would lead to.

        Args:
            order: any order that fills the window.
            estimator: a method of the study's estimators, or the name of one; None is
                `default_estimator`.

        Raises:
            UserError: the order does not fit the window, or there is no such estimator.

        """
        [found] = self.estimates([order], estimator)
        return found

    def estimates(
        self, orders: Iterable[Order], estimator: str | None = None
    ) -> Iterator[Estimate]:
        """Yield what training on each of `orders` would lead to, replayed together.

        As many at once as memory is meant for. Arguments and errors are those of `estimate`.
        """
        checked = [check_order(order, self.window) for order in orders]
        if not checked:
            return
        config = self._config(estimator or self.default_estimator)
        score = self.results.score(config.name)
        radii, ranges = score["interval_radius"], score["calibrated_range"]
        for order, (found, theta) in zip(checked, self._ends(config, checked), strict=True):
            values = {
                name: _value(float(value), radii[name], ranges[name])
                for name, value in zip(metric_names(self.problem.goals), found, strict=True)
            }
            yield Estimate(
                order.name, config.name, values, score["verdict"], score["advice"], theta
            )

    def _ends(
        self, config: EstimatorConfig, orders: Sequence[Order]
    ) -> Iterator[tuple[np.ndarray, Tensor | None]]:
        """Yield metrics (M,) and parameters (P,), if any, at the end of each of `orders`."""
        schedules = torch.from_numpy(np.stack([order.schedule for order in orders]))
        if config.method == "reduced":
            for losses in self.reduced.predict(schedules).double().numpy():
                yield np.concatenate([[losses.mean()], losses]), None
            return
        manifest, warm = (self.folder / "store" / n for n in ("manifest.json", "warm.h5"))
        settings = OptimizerConfig(**self.config["optimizer"])
        optimizer = build_optimizer(settings, self.window.horizon)
        with opened_estimator(
            config, self.problem, optimizer, manifest, warm, self.key, self.config["seeds"]["order"]
        ) as replay:
            for batch in schedules.split(max(1, BATCH_NUMBERS // self.problem.size)):
                for theta in replay.replay(batch, lambda t, parameters: None):
                    yield self.problem.evaluate(theta), theta.clone()

    def retrain(self, order: Order) -> dict[str, float]:
        """Train on `order` for real; return the metrics in nats per token.

        Raises:
            UserError: the order does not fit the window, or the training diverges.

        """
        order = check_order(order, self.window)
        start = read_state(self.folder / "store" / "warm.h5", self.key, "warm")
        with TemporaryDirectory() as work:
            training = TrainingSetup(
                start,
                OptimizerConfig(**self.config["optimizer"]),
                self.window.horizon,
                [self.window.steps],
                lambda place, readout: Checkpoints(work, "run", self.window.steps),
            )
            outcome = retrain_orders(
                self.problem, [order], training, [], SparseJL(self.problem.size, 16), {}
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
        """Return the orders that several searches propose by the reduced model, the best first.

        Args:
            objective: weight of each metric; the sum is lowered.
            constraints: what an order may not do; nothing by default.
            random: random orders that effects are read from.
            rounds: generations, and batches of local search.
            seed: of all random choices.

        Raises:
            UserError: no metric or an unknown one, no random orders, no reduced model, or
                constraints that no order meets.

        """
        if random < 1:
            raise UserError(f"random: {random} orders to read effects from; take some hundreds")
        reduced, wanted = self.reduced, Objective(objective)

        def score(schedules: np.ndarray) -> np.ndarray:
            losses = reduced.predict(torch.from_numpy(schedules)).double().numpy()
            return wanted.of_domains(reduced.goals, losses)

        reference = self.orders["reference"].schedule
        free = Constraints(reference, self.unit_domains)
        return proposals(score, constraints or free, random, rounds, seed)

    def maps(self) -> Maps:
        """Return what every position of every unit does, by the reduced model.

        Maps (U, T) by quantity (`own`, `same`, `other`) and way (`swap`, `insertion`,
        `presence`), as `memorization.maps.effects`, in nats per token.

        Raises:
            UserError: the study has no reduced model.

        """
        base, reduced = self.orders["reference"].schedule, self.reduced
        arrays = of_all_positions(base, self.unit_domains, by_reduced(reduced))
        return estimated_maps(arrays, reduced.goals, self.unit_domains)

    def _replaying(self) -> list[EstimatorConfig]:
        """Return the configurations of the estimators that take any order."""
        configs = [EstimatorConfig(**entry) for entry in self.config["estimators"]]
        return [config for config in configs if config.method not in FITTED_METHODS]

    def _config(self, estimator: str) -> EstimatorConfig:
        """Return the configuration of an estimator by its name, or by its method if it is one."""
        known = self._replaying()
        found = [config for config in known if estimator in (config.name, config.method)]
        if len(found) != 1:
            names = ", ".join(config.name for config in known)
            what = "no" if not found else "more than one"
            raise UserError(
                f"{what} estimator `{estimator}` that takes further orders; this study has "
                f"{names}; list others under `estimators` of its configuration and run it again"
            )
        return found[0]


def _value(value: float, radius: float | None, limits: Sequence[float] | None) -> Value:
    beyond = is_beyond(value, limits) if limits is not None else None
    return Value(value, *interval_ends(value, radius), beyond)
