"""Opens the stored files that an estimator needs, and builds the estimator."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.sizes import residual_size
from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.estimators.build_estimator import build_estimator
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.known_runs import KnownRuns
from trainorder.expansion.replay import Estimator
from trainorder.expansion.store import Store
from trainorder.training.optimizer import Optimizer
from trainorder.training.problem import LanguageProblem


@contextmanager
def opened_estimator(
    config: EstimatorConfig,
    problem: LanguageProblem,
    optimizer: Optimizer,
    *,
    store: Store,
    seed: int,
) -> Iterator[Estimator]:
    """Yield the estimator of `config`; its files stay open until the context ends.

    Args:
        config: of an estimator that replays; its size, if it takes one, is not open.
        problem: the learning problem.
        optimizer: the study's optimizer.
        store: the store that the estimator reads.
        seed: `seeds.order`, for estimators that draw random numbers.

    Raises:
        UserError: a file is missing, damaged or belongs to another study.

    """
    needs = config.descriptor.reads
    with ExitStack() as stack:
        path = stack.enter_context(store.path(config.path)) if "path" in needs else None
        table = stack.enter_context(store.table(config.path)) if "table" in needs else None
        model = None
        if "curvature" in needs:
            [file] = store.files(config.path, "curvature")
            model = LowRankExpansion.load(file, store.key, store.start())
        runs = None
        if "residuals" in needs:
            [file] = store.files(config.path, "residuals")
            size = residual_size(config.size or 0, problem.sequences)
            further = store.files(config.path, "known_runs") if config.runs else []
            runs = KnownRuns.load(file, store.key, size, further=further, runs=config.runs)
        about = path if path is not None else model  # a low-rank model holds the states of its path
        if about is None:
            raise ValueError(f"`{config.method}` reads neither a path nor the low-rank curvature")
        expansion = Expansion(problem, optimizer, about, table)
        yield build_estimator(config, expansion, model=model, runs=runs, seed=seed)
