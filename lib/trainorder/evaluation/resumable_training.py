"""Training with the optimizer of replays and true gradients, from any start; it survives a kill."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainorder.numerics import large_tensors
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.optimizer import Optimizer, State
from trainorder.training.problem import Problem, add_mean_gradient


@dataclass(frozen=True)
class Trainings:
    """Trainings from different starts. If the job is killed, each resumes from its last state.

    Attributes:
        problem: the learning problem; its meter counts the gradients, those before a kill included.
        optimizer: the optimizer.
        checkpoints: maps the name of a training to its checkpoints.

    """

    problem: Problem
    optimizer: Optimizer
    checkpoints: Callable[[str], Checkpoints]

    def trained(self, name: str, start: State, schedule: np.ndarray) -> State:
        """Return the state after the steps of `schedule` (T, k) from `start`, which may change."""
        problem, checkpoints = self.problem, self.checkpoints(name)
        state, done, begin = start, 0, time.perf_counter()
        if (latest := checkpoints.latest(start.step)) is not None:
            done, state = latest[0].step - start.step, latest[0]
            before = float(latest[1]["seconds"])
            problem.meter.add("gradients", schedule[:done].size * problem.sequences)
            problem.meter.seconds["training"] += before
            begin -= before
        total = large_tensors.zeros(problem.size, dtype=state.parameters.dtype)
        for step, units in enumerate(schedule[done:].tolist(), start=done + 1):
            total.zero_()
            add_mean_gradient(problem, state.parameters, units, total)
            self.optimizer.update(state, total)
            if step % checkpoints.every == 0 or step == len(schedule):
                checkpoints.save(state, seconds=np.array(time.perf_counter() - begin))
        return state
