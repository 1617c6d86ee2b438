"""How well a replay does on the calibration orders: a level of a ladder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from trainorder.evaluation.outcome_arrays import Arrays
from trainorder.evaluation.outcomes import Outcomes, read_truth
from trainorder.evaluation.paired_outcomes import pair_with_truth
from trainorder.evaluation.replaying import replay_orders
from trainorder.evaluation.scores import IntervalSettings, estimator_scores, read_vocabulary
from trainorder.expansion.replay import Estimator
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order import CALIBRATION, Order
from trainorder.orders.order_book import OrderBook
from trainorder.training.problem import LanguageProblem


class Tried(NamedTuple):
    """The outcome of a trial.

    Attributes:
        outcome: the arrays of an outcome file.
        scores: the entry that the estimator would have in `validation.json`.

    """

    outcome: Arrays
    scores: dict[str, Any]


@dataclass(frozen=True)
class CalibrationTrial:
    """Tries estimators on calibration orders.

    Attributes:
        problem: the learning problem.
        orders: the calibration orders to replay.
        truth: the true outcomes of the study.
        splits: the split of each order of the study.
        settings: how intervals are computed.
        vocabulary: size of the vocabulary, which decides what counts as diverged.
        sketch_rows: rows of the sketches of parameters.
        averaged_states: number of last states whose mean is evaluated, too; None for none.

    """

    problem: LanguageProblem
    orders: Sequence[Order]
    truth: Outcomes
    splits: Mapping[str, str]
    settings: IntervalSettings
    vocabulary: int
    sketch_rows: int
    averaged_states: int | None

    @classmethod
    def read(
        cls,
        problem: LanguageProblem,
        files: Mapping[str, Any],
        params: Mapping[str, Any],
        bounds: Mapping[str, int] | None = None,
    ) -> "CalibrationTrial":
        """Return a trial from the inputs and params of a job.

        Args:
            problem: the learning problem.
            files: `orders` (orders.json), `summary` (corpus.json) and `truth` (the shards).
            params: `key`, `validation` with a seed, `sketch_rows` and `averaged_states`.
            bounds: largest number of orders by split; None for all.

        Raises:
            UserError: a file is missing, damaged or does not fit the others.

        """
        book = OrderBook.load(files["orders"])
        return cls(
            problem=problem,
            orders=[order for order in book.bounded(bounds or {}) if order.split == CALIBRATION],
            truth=read_truth(files["truth"], params["key"], list(book)),
            splits={order.name: order.split for order in book.values()},
            settings=IntervalSettings(**params["validation"]),
            vocabulary=read_vocabulary(files["summary"]),
            sketch_rows=params["sketch_rows"],
            averaged_states=params["averaged_states"],
        )

    def __call__(self, name: str, estimator: Estimator) -> Tried:
        """Return the outcomes and scores of an estimator called `name`.

        The meter counts its passes in the spans `replay` and `evaluation`.
        """
        sketch = SparseJL(self.problem.size, self.sketch_rows)
        outcome = replay_orders(
            estimator, self.problem, self.orders, [], sketch, self.averaged_states
        )
        metrics = self.truth.metrics
        estimate = Outcomes.estimated(outcome, metrics)
        paired = pair_with_truth(name, estimate, self.truth, self.splits, has_parameters=True)
        scores = estimator_scores(paired, metrics, self.settings, self.vocabulary)
        return Tried(outcome, scores)
