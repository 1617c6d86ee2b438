"""Tiny learning problems in float64 and expansions about their paths, for numerical tests."""

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from trainorder.config.sections.model import ModelConfig
from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.curvature.build_low_rank import build_low_rank
from trainorder.curvature.cluster_curvature import ClusterCurvature, CurvatureAlongPath, Responses
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.data.corpus import Corpus
from trainorder.expansion.anchor_files import AnchorFiles
from trainorder.expansion.anchors import Anchors
from trainorder.expansion.barycentre import run_barycentre
from trainorder.expansion.clusters import Clusters, draw_pools
from trainorder.expansion.even_anchors import even_anchors
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.gradient_table import Table, write_rows, write_table
from trainorder.expansion.path import StoredPath, write_path
from trainorder.numerics.derivatives import taylor_gradients
from trainorder.numerics.rows import Rows
from trainorder.storage.sealed_hdf5 import opened
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.meter import Meter
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import State, build_optimizer
from trainorder.training.problem import LanguageProblem, count_loss

HORIZON = 40
KINDS = {  # optimizers, as changes of a configuration
    "adamw": {},
    "sgd": {"name": "sgd", "momentum": 0.0},
    "sgd with momentum": {"name": "sgd", "momentum": 0.9},
}


def optimizer_config(**changes):
    """Return an optimizer configuration with some fields changed."""
    fields = {
        "learning_rate": 1e-2,
        "beta1": 0.9,
        "beta2": 0.95,
        "epsilon": 1e-8,
        "weight_decay": 0.0,
        "schedule": "constant",
        "linear_warmup_steps": 0,
        "final_fraction": 0.1,
        "gradient_clip": None,
        "name": "adamw",
        "momentum": 0.9,
    }
    return OptimizerConfig(**{**fields, **changes})


@dataclass
class Polynomial:
    """Units whose losses are random polynomials of degree 2 or 3 in the parameters.

    The loss of a unit is the mean over its sequences; `noise` scales their differences. With
    `kinds`, `spread` scales the differences between units of one kind.
    """

    units: int
    size: int = 5
    degree: int = 2
    sequences: int = 4
    noise: float = 0.5
    kinds: int | None = None
    spread: float = 0.1
    goals: tuple[str, ...] = ("a", "b")
    meter: Meter = field(default_factory=Meter)
    loss_scale: float = 1.0

    def __post_init__(self):
        generator = torch.Generator().manual_seed(7)

        def normal(*shape):
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        root = normal(self.units, self.size, self.size)
        self.linear = normal(self.units, self.size)
        self.square = root @ root.mT / self.size
        self.cube = normal(self.units, self.size, self.size, self.size) / self.size
        self.start = normal(self.size)
        slopes = normal(self.units, self.sequences, self.size)
        hessians = normal(self.units, self.sequences, self.size, self.size)
        hessians = hessians + hessians.mT
        self.slopes = self.noise * (slopes - slopes.mean(1, keepdim=True))
        self.hessians = self.noise * (hessians - hessians.mean(1, keepdim=True)) / 4
        self.targets = normal(len(self.goals), self.size)
        if self.kinds is not None:
            kind = self.kind
            self.linear = self.linear[kind] + self.spread * (self.linear - self.linear[kind])
            self.square = self.square[kind] + self.spread * (self.square - self.square[kind])
            self.cube = self.cube[kind] + self.spread * (self.cube - self.cube[kind])

    @property
    def kind(self):
        """The kind of each unit, which is also the index of the first unit of this kind."""
        return torch.arange(self.units) % (self.kinds or self.units)

    def to(self, dtype):
        """Convert the tensors of the problem to another dtype, in place."""
        for name in ("linear", "square", "cube", "start", "slopes", "hessians", "targets"):
            setattr(self, name, getattr(self, name).to(dtype))
        return self

    def loss(self, theta, unit):
        count_loss(self.meter, theta, self.sequences)
        return self._loss(theta, unit)

    def _loss(self, theta, unit):
        value = self.linear[unit] @ theta + theta @ self.square[unit] @ theta / 2
        if self.degree == 3:
            value = value + torch.einsum("ijk,i,j,k->", self.cube[unit], theta, theta, theta) / 6
        return value

    def sample_loss(self, theta, rows):
        count_loss(self.meter, theta, len(rows))
        losses = [
            self._loss(theta, unit)
            + self.slopes[unit, sequence] @ theta
            + theta @ self.hessians[unit, sequence] @ theta / 2
            for unit, sequence in rows.tolist()
        ]
        return torch.stack(losses).mean()

    def goal_loss(self, theta, goal):
        count_loss(self.meter, theta, 1)
        return ((theta - self.targets[goal]) ** 2).sum() / 2 + self._loss(theta, goal) / 4


def language_problem(units=6, unit_size=2, seed=0, dtype=torch.float64, device=None, pairs=False):
    """Return a one-layer language model on random tokens, or on prompt-response `pairs`."""
    rng = np.random.default_rng(3)
    tokens = rng.integers(0, 13, (units, unit_size, 7)).astype(np.int32)
    corpus = Corpus(
        ["a", "b"],
        13,
        rng.integers(0, 13, (20, 7)).astype(np.int32),
        tokens,
        ["a"] * (units // 2) + ["b"] * (units - units // 2),
        rng.integers(0, 13, (2, 3, 7)).astype(np.int32),
    )
    if pairs:
        corpus = replace(
            corpus,
            **{name: as_pairs(getattr(corpus, name)) for name in ("warmup", "units", "heldout")},
        )
    model = LanguageModel(
        ModelConfig(hidden_size=8, intermediate_size=12, layers=1, heads=2),
        13,
        7,
        seed,
        dtype,
        device,
    )
    if dtype == torch.float64:
        keep_double(model.module)
    return LanguageProblem(model, corpus, Meter())


def as_pairs(tokens):
    """Return the tokens with prompts and padding of several lengths marked as without loss."""
    *shape, length = tokens.shape
    positions, row = np.arange(length), np.arange(np.prod(shape)).reshape(*shape, 1)
    start, end = 1 + row % 3, length - row % 2
    return np.where((positions >= start) & (positions < end), tokens, ~tokens)


def keep_double(module):
    """Remove the casts to float32 of transformers in normalization layers and in the softmax."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, LlamaRMSNorm):
                norm = torch.nn.RMSNorm(child.weight.shape, child.variance_epsilon)
                norm.weight = child.weight
                setattr(parent, name, norm)
    torch.nn.functional.softmax = double_softmax


def double_softmax(x, dim, dtype=None, softmax=torch.nn.functional.softmax):
    """Return the softmax, in float64 for a float64 input."""
    return softmax(x, dim=dim, dtype=None if x.dtype == torch.float64 else dtype)


def warm_state(problem, theta, config, steps=8):
    """Return the state after `steps` steps of torch's optimizer on the units in turn."""
    zero = torch.zeros_like(theta)
    schedule = np.arange(steps)[:, None] % problem.units
    return torch_states(problem, State(theta, zero, zero, 0), schedule, config)[-1]


def torch_states(problem, start, schedule, config):
    """Return the states before each step and after the last, trained with torch's optimizer.

    This is independent of the replay and of `trainorder.training.trainer`: it uses only torch.
    """
    parameter = start.parameters.clone().requires_grad_()
    optimizer = torch_adamw(parameter, start, config)
    if config.name == "sgd":
        optimizer = torch_sgd(parameter, start, config)
    states = [start]
    for row in schedule:
        for group in optimizer.param_groups:
            group["lr"] = torch_rate(config, states[-1].step)
        optimizer.zero_grad()
        torch.stack([problem.loss(parameter, int(unit)) for unit in row]).mean().backward()
        if config.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_([parameter], config.gradient_clip)
        decayed_gradient = parameter.grad + config.weight_decay * parameter.detach()
        optimizer.step()
        moments = optimizer.state[parameter]
        first, second = moments.get("exp_avg"), moments.get("exp_avg_sq")
        if config.name == "sgd":  # without momentum, torch has no buffer
            first = moments["momentum_buffer"] if config.momentum else decayed_gradient
            second = torch.zeros_like(first)
        states.append(
            State(parameter.detach().clone(), first.clone(), second.clone(), states[-1].step + 1)
        )
    return states


def torch_adamw(parameter, start, config):
    """Return torch.optim.AdamW for a parameter, with the moments of a state."""
    optimizer = torch.optim.AdamW(
        [parameter],
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        weight_decay=config.weight_decay,
    )
    optimizer.state[parameter] = {
        "step": torch.tensor(float(start.step)),
        "exp_avg": start.exp_avg.clone(),
        "exp_avg_sq": start.exp_avg_sq.clone(),
    }
    return optimizer


def torch_sgd(parameter, start, config):
    """Return torch.optim.SGD for a parameter, with the buffer of a state after its first step."""
    optimizer = torch.optim.SGD(
        [parameter],
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )
    if start.step:
        optimizer.state[parameter] = {"momentum_buffer": start.exp_avg.clone()}
    return optimizer


def torch_rate(config, step):
    """Return the learning rate of torch's own scheduler at a step."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=config.learning_rate)
    warmup, span = config.linear_warmup_steps, HORIZON - config.linear_warmup_steps
    if step < warmup:
        return config.learning_rate * step / warmup
    if config.schedule == "constant":
        return config.learning_rate
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, span, eta_min=config.final_fraction * config.learning_rate
    )
    for _ in range(step - warmup):
        optimizer.step()
        scheduler.step()
    return scheduler.get_last_lr()[0]


@contextmanager
def expansion(problem, states, config, folder, anchors=None, shards=2, decayed=None):
    """Yield the expansion about a path of states, with its gradient table.

    `decayed` (P,) tells which parameters have weight decay; None for all.
    """
    steps = len(states) - 1
    places = even_anchors(steps, anchors)
    write_path(folder / "path.h5", "k", lambda t: states[t], steps=steps, anchors=places)
    with opened(folder / "path.h5", "k", "reference") as file:
        path = StoredPath(file)
        for shard, part in enumerate(np.array_split(places, shards)):
            write_table(folder / f"table-{shard}.h5", "k", problem, path, part)
        with opened_tables(folder, shards) as table:
            yield Expansion(problem, build_optimizer(config, HORIZON, decayed), path, table)


@contextmanager
def barycentre(
    problem, start, steps, units_per_step, config, folder, clusters=None, given=None,
    tolerance=0.0, decayed=None,
):  # fmt: skip
    """Yield the expansion about the barycentre path.

    Every step is an anchor by default. With `clusters`, the anchors are `given` or follow from
    `tolerance`. `decayed` (P,) tells which parameters have weight decay; None for all.
    """
    checkpoints = Checkpoints(folder / "work", "w", every=1, keep_all=True)
    optimizer = build_optimizer(config, HORIZON, decayed)
    chosen = run_barycentre(
        problem,
        clusters,
        optimizer,
        start,
        units_per_step,
        Anchors(steps, given, tolerance),
        checkpoints,
        "k",
    )
    labels = clusters.labels if clusters else np.arange(problem.units)
    rows, places = (
        AnchorFiles(checkpoints.folder, "k").table(chosen, labels),
        np.array(chosen.steps),
    )
    write_rows(folder / "table-0.h5", "k", places, problem.units, start.parameters, rows)
    write_path(
        folder / "path.h5",
        "k",
        lambda t: checkpoints.load(start.step + t)[0],
        steps=steps,
        anchors=places,
    )
    with (
        opened(folder / "path.h5", "k", "barycentre") as file,
        opened_tables(folder, 1) as table,
    ):
        yield Expansion(problem, optimizer, StoredPath(file), table)


@contextmanager
def opened_tables(folder, shards):
    """Yield the gradient table of the shards in a folder."""
    with ExitStack() as stack:
        names = [folder / f"table-{shard}.h5" for shard in range(shards)]
        yield Table([stack.enter_context(opened(name, "k", "table")) for name in names])


def every_sequence(problem, labels):
    """Return clusters whose pools contain every sequence."""
    labels = np.asarray(labels)
    return Clusters(labels, draw_pools(labels, problem.sequences, 10**6, 0))


def curvature_along(about, clusters, probes=None, anchors=1):
    """Return the curvature at `anchors` steps of a path, from `probes` (n, P) or unit vectors."""
    problem, steps = about.problem, about.path.steps
    places = np.array([steps * (2 * i + 1) // (2 * anchors) for i in range(anchors)])
    dtype = about.path.parameters(0).dtype
    probes = Rows(torch.eye(problem.size, dtype=dtype) if probes is None else probes)
    along = CurvatureAlongPath(places, [ClusterCurvature(problem, clusters) for _ in places])
    for t, curvature in zip(places, along.at, strict=True):
        responses = Responses(problem, clusters, about.path.parameters(int(t)), 0.1)
        curvature.add(probes, responses(probes))
    return along


def low_rank(about, clusters, size=10**6, probes=None, anchors=1):
    """Return the low-rank expansion about a path and the share of the energy outside its basis."""
    generator = torch.Generator().manual_seed(5)
    displacements = torch.randn(20, about.problem.size, generator=generator, dtype=torch.float64)
    displacements = Rows(displacements.to(about.path.parameters(0).dtype))
    along = curvature_along(about, clusters, probes, anchors)
    metric = second_moment_scale(about)
    return build_low_rank(about, along, clusters.labels, displacements, metric, size)


def warm_without_memory(problem):
    """Return a warm state and optimizer settings with a practically constant preconditioner.

    The window changes the second moments by at most a relative 1e-6.
    """
    generator = torch.Generator().manual_seed(11)
    scale = 0.5 + torch.rand(problem.size, generator=generator, dtype=torch.float64)
    zero = torch.zeros(problem.size, dtype=torch.float64)
    theta = problem.start if isinstance(problem, Polynomial) else problem.model.parameters()
    return State(theta, zero, 0.01 * scale, 10**7), {"beta2": 1 - 1e-9, "epsilon": 1e-3}


def relative_error(actual, expected):
    """Return |actual - expected| / |expected|, or |actual| if `expected` is zero."""
    return float((actual - expected).norm() / (expected.norm() or 1.0))


def ignore(t, parameters):
    """An observer of a replay that does nothing."""


def taylor_rows(loss, centre, displacements, order):
    """Return the polynomials of `taylor_gradients` at n displacements, (n, P)."""
    return torch.stack([*taylor_gradients(loss, centre, displacements, order)])
