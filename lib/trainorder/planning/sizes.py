"""The numbers that a study's costs follow from, as far as its configuration tells."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch

from trainorder.config.methods import Method
from trainorder.config.sections import (
    CorpusConfig,
    CurvatureConfig,
    EstimatorConfig,
    ExpansionConfig,
    ModelConfig,
    OptimizerConfig,
    OrdersConfig,
    WindowConfig,
    orders_config,
)
from trainorder.data.domains import domains_of
from trainorder.data.tokenizer import load as load_tokenizer
from trainorder.data.tokens import read_labels
from trainorder.estimators.baselines.proxy import narrowed
from trainorder.orders.user_files import read_orders
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import MOMENTS, build_optimizer

FLOAT = 4  # bytes


class Sizes:
    """The numbers that a study's costs follow from.

    Attributes:
        P: parameters of the model; `narrow_P`: of the proxy's.
        T: steps of the window; `k`: units of a step.
        U: units; `S`: sequences of a unit.
        D: domains; `H`: held-out sequences of each.
        R: readouts along the window.
        counts: orders of each split.
        pools: sequences in the pool of each cluster.
        optimizer: of replays.

    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Read a checked configuration; of the files it names a tokenizer, orders and labels.

        Raises:
            UserError: one of these cannot be read.

        """
        self.config = config
        self.corpus = CorpusConfig(**config["corpus"])
        self.window = WindowConfig(**config["window"])
        self.orders = OrdersConfig(**orders_config(config["orders"], config["estimators"]))
        self.expansion = ExpansionConfig(**config["expansion"])
        self.curvature = CurvatureConfig(**config["curvature"])
        self.estimators = [EstimatorConfig(**entry) for entry in config["estimators"]]
        self.shards: Mapping[str, int] = config["shards"]
        optimizer = OptimizerConfig(**config["optimizer"])
        self.optimizer = build_optimizer(optimizer, self.window.horizon)
        self.domains, self.domains_assumed = domains_of(self.corpus)
        self.D, self.T, self.U = len(self.domains), self.window.steps, self.window.units
        self.S, self.k = self.window.unit_size, self.window.units_per_step
        self.H = self.corpus.heldout_sequences
        self.vocabulary = self._vocabulary()
        model = ModelConfig(**config["model"])
        self.models = {False: model, True: narrowed(model)}  # by whether it is the proxy's
        with torch.device("meta"):
            self.P, self.narrow_P = (self.model(narrow).size for narrow in (False, True))
        self.counts = self.orders.counts
        if self.orders.custom is not None:
            self.counts["custom"] = len(read_orders(self.orders.custom, self.window))
        curriculum = config["curriculum"]
        self.R = curriculum["readouts"] if curriculum else 1
        self.pools = self._pools()

    def model(self, narrow: bool, device: torch.device | None = None) -> LanguageModel:
        """Return the study's model, or the proxy's; made on device `meta` it takes no memory."""
        length, seed = self.corpus.sequence_length, self.config["seeds"]["init"]
        config = self.models[narrow]
        return LanguageModel(config, self.vocabulary, length, seed, torch.float32, device)

    def _vocabulary(self) -> int:
        if self.corpus.source == "tokens":
            return read_labels(self.corpus.files[0]).vocabulary
        given = self.corpus.tokenizer
        return load_tokenizer(given).vocabulary if given else self.corpus.vocabulary

    @property
    def anchors(self) -> int:
        """K; of `auto` the square root of 2 T, as the studies of the benchmark took."""
        anchors = self.expansion.anchors
        if isinstance(anchors, int):
            return anchors
        return self.T if anchors == "all" else min(self.T, round((2 * self.T) ** 0.5))

    @property
    def reference_anchors(self) -> int:
        """Anchors of the reference path."""
        return self.expansion.anchors if isinstance(self.expansion.anchors, int) else self.T

    def table_anchors(self, path: str) -> int:
        """Return the anchors of a path."""
        return self.reference_anchors if path == "reference" else self.anchors

    def _pools(self) -> list[int]:
        clusters = self.curvature.clusters
        if isinstance(clusters, int):
            members = spread(self.U, clusters)
        elif self.corpus.source == "tokens":
            members = list(Counter(read_labels(self.corpus.files[0]).unit_domains).values())
        else:
            mixed = int(self.window.mixed_fraction * self.U + 0.5) if self.D > 1 else 0
            members = [*spread(self.U - mixed, self.D), mixed]
        return [min(self.expansion.pool, units * self.S) for units in members if units]

    def paths(self, fits: Callable[[Method], bool]) -> list[str]:
        """Return the expansion paths of the estimators for whose method `fits` holds."""
        return sorted(
            {e.path for e in self.estimators if e.descriptor.takes_path and fits(e.descriptor)}
        )

    def estimated(self, estimator: EstimatorConfig) -> dict[str, int]:
        """Return how many orders of each split an estimator runs on."""
        bounds = estimator.orders
        return {
            split: min(n, bounds.get(split, n))
            for split, n in self.counts.items()
            if split != "fit"
        }

    def followed(self, counts: Mapping[str, int]) -> int:
        """Return how many of some orders are followed along the window."""
        count: int = self.config["trajectories"]
        structured = min(count // 2, self.counts["structured"])
        random = min(count - structured, self.counts["random"])
        return min(random, counts["random"]) + min(structured, counts["structured"])

    @property
    def path_bytes(self) -> int:
        """Bytes of an expansion path."""
        return len(MOMENTS) * (self.T + 1) * FLOAT * self.P

    def table_bytes(self, path: str) -> int:
        """Return the bytes of a path's gradient table."""
        return self.table_anchors(path) * self.U * FLOAT * self.P


def spread(total: int, parts: int) -> list[int]:
    """Divide evenly, as the corpus and its clusters are."""
    share, rest = divmod(total, parts)
    return [share + (place < rest) for place in range(parts)]
