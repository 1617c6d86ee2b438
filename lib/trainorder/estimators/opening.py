"""Opens what an estimator rests on, and builds it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from trainorder.config.methods import STORE
from trainorder.config.sections import EstimatorConfig
from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.estimators.build import build_estimator
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.gradient_table import Table
from trainorder.expansion.path import StoredPath
from trainorder.expansion.replay import Estimator
from trainorder.storage.manifest import opened_shards, shards
from trainorder.training.checkpoints import read_state
from trainorder.training.optimizer import Optimizer
from trainorder.training.problem import LanguageProblem


@contextmanager
def opened_estimator(
    config: EstimatorConfig,
    problem: LanguageProblem,
    optimizer: Optimizer,
    manifest: Path,
    warm: Path,
    key: str,
    seed: int,
) -> Iterator[Estimator]:
    """Open the files of the store that the estimator of `config` reads, and yield it.

    Args:
        config: of an estimator that replays.
        problem: the learning problem.
        optimizer: of the study.
        manifest: of the store.
        warm: the state before the window.
        key: of the study.
        seed: as in `build_estimator`.

    Raises:
        UserError: a file is missing, damaged, or of another study.

    """
    needed = STORE[config.method]
    with ExitStack() as stack:
        opens = {
            kind: stack.enter_context(opened_shards(manifest, key, config.path, kind))
            for kind in ("path", "table")
            if kind in needed
        }
        model = None
        if "curvature" in needed:
            [file] = shards(manifest, key, config.path, "curvature")
            model = LowRankExpansion.load(file, key, read_state(warm, key, "warm"))
        centre = StoredPath(opens["path"][0]) if "path" in opens else model
        if centre is None:
            raise ValueError(f"{config.method} expands about nothing that the store holds")
        table = Table(opens["table"]) if "table" in opens else None
        expansion = Expansion(problem, optimizer, centre, table)
        yield build_estimator(config, expansion, model, seed)
