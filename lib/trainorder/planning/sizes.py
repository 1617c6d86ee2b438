"""The sizes that decide the costs of a study, computed from its configuration."""

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import torch

from trainorder.config.methods import Method
from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.curvature import CurvatureConfig
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.expansion import ExpansionConfig
from trainorder.config.sections.known_runs import (
    known_run_count,
    residual_sizes,
    smallest_corrected_size,
)
from trainorder.config.sections.ladder import LadderConfig
from trainorder.config.sections.model import ModelConfig
from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.config.sections.orders import OrdersConfig, orders_config
from trainorder.config.sections.readouts import metric_sets, readout_count
from trainorder.config.sections.window import WindowConfig
from trainorder.data.domains import domains_of
from trainorder.data.token_labels import token_labels
from trainorder.data.tokenizer import load as load_tokenizer
from trainorder.estimators.baselines.proxy import narrowed
from trainorder.numerics.quantize import BLOCK
from trainorder.orders.order import FIT, HELD_BACK
from trainorder.orders.user_files import read_orders
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import MOMENTS, build_optimizer

FLOAT = 4  # bytes


class Sizes:
    """The sizes that decide the costs of a study.

    Attributes:
        P: parameters of the model; `narrow_P`: of the proxy.
        T: steps of the window; `k`: units per step.
        U: units; `S`: sequences per unit.
        D: domains; `H`: held-out sequences per domain.
        R: readouts along the window.
        M: sets of losses of a readout: 2 with averaged weights, else 1.
        E: sets of H sequences of each domain that are evaluated at a readout: M, and one for each
            choice of a multiple-choice task.
        counts: number of orders in each split.
        pools: number of sequences that represent each cluster along the barycentre path;
            `curvature_pools`: in its curvature, if these do not grow.
        optimizer: the optimizer of replays.

    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Read the sizes from a checked configuration, its tokenizer, orders and labels.

        Raises:
            UserError: the tokenizer, the orders or the labels cannot be read.

        """
        self.config = config
        self.corpus = CorpusConfig(**config["corpus"])
        self.window = WindowConfig(**config["window"])
        self.orders = OrdersConfig(**orders_config(config["orders"], config["estimators"]))
        self.expansion = ExpansionConfig(**config["expansion"])
        self.curvature = CurvatureConfig(**config["curvature"])
        self.estimators = [EstimatorConfig(**entry) for entry in config["estimators"]]
        self.ladder = LadderConfig(**config["ladder"])
        self.shards: Mapping[str, int] = config["shards"]
        optimizer = OptimizerConfig(**config["optimizer"])
        self.optimizer = build_optimizer(optimizer, self.window.horizon)
        self.domains, self.domains_assumed = domains_of(self.corpus)
        self.D, self.T, self.U = len(self.domains), self.window.steps, self.window.units
        self.S, self.k = self.window.unit_size, self.window.units_per_step
        self.H = self.corpus.heldout_sequences
        self.vocabulary = self._vocabulary()
        model = ModelConfig(**config["model"])
        self.models = {False: model, True: narrowed(model)}  # True: the proxy
        with torch.device("meta"):
            self.P, self.narrow_P = (self.model(narrow).size for narrow in (False, True))
        self.counts = self.orders.counts
        if self.orders.custom is not None:
            self.counts["custom"] = len(read_orders(self.orders.custom, self.window))
        self.R = readout_count(config["curriculum"])
        self.M = metric_sets(config["averaged_states"])
        self.E = self.M + (config["multiple_choice"] or 0)
        self.pools = self._pools(self.expansion.pool)
        self.curvature_pools = self._pools(self.curvature.first_pool)

    def model(self, narrow: bool, device: torch.device | None = None) -> LanguageModel:
        """Return the model of the study, or the proxy; on device `meta` it needs no memory."""
        length, seed = self.corpus.sequence_length, self.config["seeds"]["init"]
        config = self.models[narrow]
        return LanguageModel(config, self.vocabulary, length, seed, torch.float32, device)

    def _vocabulary(self) -> int:
        if self.corpus.source == "tokens":
            return token_labels(self.corpus, self.window).vocabulary
        given = self.corpus.tokenizer
        return load_tokenizer(given).vocabulary if given else self.corpus.vocabulary

    @property
    def anchors(self) -> int:
        """K, the number of anchors; sqrt(2 T) for `auto`, as measured in the benchmark."""
        anchors = self.expansion.anchors
        if isinstance(anchors, int):
            return anchors
        return self.T if anchors == "all" else min(self.T, round((2 * self.T) ** 0.5))

    @property
    def measured_anchors(self) -> int:
        """Number of anchors at which every unit is measured; sqrt(T / 2) for `auto`, measured."""
        return round((self.T / 2) ** 0.5) if self.expansion.anchors == "auto" else self.anchors

    @property
    def reference_anchors(self) -> int:
        """Number of anchors of the reference path."""
        return self.expansion.anchors if isinstance(self.expansion.anchors, int) else self.T

    def table_anchors(self, path: str) -> int:
        """Return the number of anchors of a path."""
        return self.reference_anchors if path == "reference" else self.anchors

    def _pools(self, size: int) -> list[int]:
        """Return the number of sequences in each cluster's pool of at most `size`."""
        clusters = self.curvature.clusters
        if isinstance(clusters, int):
            members = spread(self.U, clusters)
        elif self.corpus.source == "tokens":
            members = list(Counter(token_labels(self.corpus, self.window).unit_domains).values())
        else:
            mixed = int(self.window.mixed_fraction * self.U + 0.5) if self.D > 1 else 0
            other = self.window.poisoned
            members = [*spread(self.U - mixed - other, self.D), mixed, other]
        return [min(size, units * self.S) for units in members if units]

    def paths(self, fits: Callable[[Method], bool]) -> list[str]:
        """Return the expansion paths of the estimators with a method for which `fits` is true."""
        return sorted(
            {e.path for e in self.estimators if e.descriptor.takes_path and fits(e.descriptor)}
        )

    def estimated(self, estimator: EstimatorConfig) -> dict[str, int]:
        """Return how many orders of each split an estimator runs on."""
        return estimator.bounded({split: n for split, n in self.counts.items() if split != FIT})

    def followed(self, counts: Mapping[str, int]) -> int:
        """Return how many of the orders in `counts` are followed along the window."""
        count: int = self.config["trajectories"]
        structured = min(count // 2, self.counts["structured"])
        random = min(count - structured, self.counts[HELD_BACK])
        return min(random, counts[HELD_BACK]) + min(structured, counts["structured"])

    def stepwise_readouts(self, followed: int, segments: int = 1) -> int:
        """Return the evaluations at every step of `followed` orders, before it and at the end.

        Each of the `segments` of a training begins with one.
        """
        return followed * (self.T + segments) if self.config["stepwise_losses"] else 0

    @property
    def unfinished_means(self) -> int:
        """How many means of last states a training holds at once, at most."""
        count = self.config["averaged_states"] or 0
        return min(self.R, -(-count * self.R // self.T))

    @property
    def known_runs(self) -> int:
        """Number of calibration orders whose retraining is recorded as a known run."""
        return known_run_count(self.estimators)

    @property
    def residual_sizes(self) -> list[int]:
        """Sizes of the subsamples whose residuals estimators read."""
        return residual_sizes(self.estimators, self.window, self.ladder)

    @property
    def smallest_corrected_size(self) -> int | None:
        """The smallest size that an estimator with known runs tries; None without one."""
        return smallest_corrected_size(self.estimators, self.window, self.ladder)

    @property
    def residual_parts(self) -> list[int]:
        """Sequences of each part of a unit that is differentiated for its residuals."""
        return [last - first for first, last in pairwise(sorted({0, *self.residual_sizes, self.S}))]

    @property
    def residual_bytes(self) -> int:
        """Bytes of the residuals of a run that consumes every unit."""
        row = self.P + FLOAT * -(-self.P // BLOCK)
        return self.T * self.k * len(self.residual_sizes) * row

    @property
    def path_bytes(self) -> int:
        """Bytes of an expansion path."""
        return len(MOMENTS) * (self.T + 1) * FLOAT * self.P

    def table_bytes(self, path: str) -> int:
        """Return the bytes of a path's gradient table."""
        return self.table_anchors(path) * self.U * FLOAT * self.P


def spread(total: int, parts: int) -> list[int]:
    """Return `parts` sizes that sum to `total` and differ by at most 1."""
    share, rest = divmod(total, parts)
    return [share + (place < rest) for place in range(parts)]
