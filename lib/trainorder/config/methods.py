"""One descriptor per estimation method. All other code reads the facts about a method here."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """What an estimation method is, what it reads and what it costs.

    Attributes:
        name: as in the configuration.
        summary: one line for the documentation.
        implementation: dotted name of its class, or of the function of a fitted method. A class of
            rule `estimate` is a subclass of `expansion.replay.Estimator` and is called as
            `estimators.build_estimator` describes. A class of rule `predict` is an
            `estimators.open_predictor.Predictor` with a class method `load`.
        rule: the Snakemake rule that computes its outcomes: `estimate` replays, `predict` asks a
            stored predictor (the reduced model, the effects of the adjoint), `ridge`, `simfluence`
            and `proxy` are fitted on retrained orders.
        reads: kinds of files of the store that it reads: `path`, `table`, `residuals`, `curvature`,
            `reduced`, `effects`. A method of rule `predict` reads one kind.
        takes_guard: whether the key `guard` bounds its corrections.
        takes_size: whether the key `size` says how many sequences of each unit it differentiates.
        takes_tail: whether the last steps can use true gradients, which the key `tail` counts.
        needs_tail: whether it consists of a tail only, so the key `tail` is required.
        fitted: whether it is fitted on the orders of split `fit`; it then has no expansion path.
        estimates_parameters: False if it estimates metrics only.
        expands_adam: whether it expands the update of Adam (the published method), so that no other
            optimizer and no gradient clipping fits it.
        ignores_order: whether all orders have the same estimate.
        derivative_order: order of the derivatives of the gradient that it computes in each replay:
            1 counts a Hessian-vector product per unit and step, 2 adds a third derivative.
        expensive: whether its orders are divided among the jobs of `shards.estimate`.
        update_cost: time of one number in one replayed step, in AdamW updates; measured on the
            default study (mean of two machines).
        training_stage: stage whose jobs train a model per order; empty if the replay is the cost.
        training_precompute: stages that prepare these trainings.
        search_role: `screen` if it scores the thousands of orders of a search, `confirm` if it
            scores the best of them again.
        reproduces: the method that it reproduces from fewer bytes; empty if there is none.

    """

    name: str
    summary: str
    implementation: str
    rule: str = "estimate"
    reads: tuple[str, ...] = ()
    takes_guard: bool = False
    takes_size: bool = False
    takes_tail: bool = False
    needs_tail: bool = False
    fitted: bool = False
    estimates_parameters: bool = True
    expands_adam: bool = False
    ignores_order: bool = False
    derivative_order: int = 0
    expensive: bool = False
    update_cost: float = 1.0
    training_stage: str = ""
    training_precompute: tuple[str, ...] = ()
    search_role: str = ""
    reproduces: str = ""

    @property
    def takes_path(self) -> bool:
        """Whether it expands about a path, which the key `path` names."""
        return not self.fitted

    @property
    def needs_run(self) -> bool:
        """Whether its path must be that of a real training: it reads what the training consumed."""
        return "residuals" in self.reads

    @property
    def uses_curvature(self) -> bool:
        """Whether it needs the low-rank curvature, directly or through the reduced model."""
        return "curvature" in self.reads or "reduced" in self.reads

    @property
    def uses_table(self) -> bool:
        """Whether it needs the gradient table, directly or through what is made of the table."""
        return "table" in self.reads or "effects" in self.reads or self.uses_curvature


_ALL = (
    Method(
        name="constant",
        summary="every order ends where the path ends: the baseline without order effects",
        implementation="trainorder.estimators.constant.Constant",
        reads=("path",),
        ignores_order=True,
        update_cost=0.0,
    ),
    Method(
        name="order0",
        summary="replay of the gradients at the path, whatever came before",
        implementation="trainorder.estimators.order0.Order0",
        reads=("path", "table"),
        takes_tail=True,
    ),
    Method(
        name="fut",
        summary="the published method: first-order expansion of Adam's update",
        implementation="trainorder.estimators.fut.FUT",
        reads=("path", "table"),
        takes_guard=True,
        expands_adam=True,
        update_cost=6.7,
    ),
    Method(
        name="fut++",
        summary="the published method: second-order expansion of Adam's update",
        implementation="trainorder.estimators.fut.FUTPlusPlus",
        reads=("path", "table"),
        takes_guard=True,
        expands_adam=True,
        update_cost=10.0,
    ),
    Method(
        name="taylor1",
        summary="replay with exact Hessian-vector products",
        implementation="trainorder.estimators.taylor.Taylor1",
        reads=("path",),
        takes_tail=True,
        derivative_order=1,
        expensive=True,
    ),
    Method(
        name="taylor2",
        summary="replay with exact second and third derivatives",
        implementation="trainorder.estimators.taylor.Taylor2",
        reads=("path",),
        takes_tail=True,
        derivative_order=2,
        expensive=True,
    ),
    Method(
        name="recency",
        summary="true training of the last steps from the path: the baseline without early steps",
        implementation="trainorder.estimators.recency.Recency",
        reads=("path",),
        takes_tail=True,
        needs_tail=True,
    ),
    Method(
        name="nystrom",
        summary="replay with the low-rank curvature of clusters of units",
        implementation="trainorder.estimators.nystrom.Nystrom",
        reads=("curvature",),
        takes_tail=True,
        search_role="confirm",
        reproduces="taylor1",
    ),
    Method(
        name="subsample",
        summary="true gradients of a part of each unit, low-rank curvature for the rest",
        implementation="trainorder.estimators.subsample.Subsample",
        reads=("path", "table", "curvature"),
        takes_size=True,
        takes_tail=True,
        expensive=True,
    ),
    Method(
        name="corrected",
        summary="gradients of a part of each unit, corrected by those of the reference run",
        implementation="trainorder.estimators.corrected.Corrected",
        reads=("path", "residuals"),
        takes_size=True,
        takes_tail=True,
        expensive=True,
    ),
    Method(
        name="reduced",
        summary="the replay of nystrom in reduced coordinates: thousands of orders per second",
        implementation="trainorder.curvature.reduced_model.ReducedModel",
        rule="predict",
        reads=("reduced",),
        estimates_parameters=False,
        search_role="screen",
        reproduces="nystrom",
    ),
    Method(
        name="adjoint",
        summary="first-order effects of each unit at each step, by a backward sweep along the path",
        implementation="trainorder.estimators.adjoint.PathEffects",
        rule="predict",
        reads=("effects",),
        estimates_parameters=False,
    ),
    Method(
        name="ridge",
        summary="ridge regression of the metrics on the positions of units",
        implementation="trainorder.estimators.baselines.ridge.fit_ridge",
        rule="ridge",
        fitted=True,
        estimates_parameters=False,
    ),
    Method(
        name="simfluence",
        summary="a linear recursion of each loss, with effects of domains and of single units",
        implementation="trainorder.estimators.baselines.simfluence.fit_simfluence",
        rule="simfluence",
        fitted=True,
        estimates_parameters=False,
    ),
    Method(
        name="proxy",
        summary="a model of a quarter of the width, retrained on every order",
        implementation="trainorder.estimators.baselines.proxy.rescaled",
        rule="proxy",
        fitted=True,
        estimates_parameters=False,
        training_stage="proxy_orders",
        training_precompute=("proxy_warm",),
    ),
)
METHODS: dict[str, Method] = {method.name: method for method in _ALL}


def method_names(fits: Callable[[Method], bool]) -> tuple[str, ...]:
    """Return the names of the methods for which `fits` is true."""
    return tuple(name for name, method in METHODS.items() if fits(method))
