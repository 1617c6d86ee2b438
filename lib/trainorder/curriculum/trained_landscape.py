"""The landscape of a study: estimates of `corrected`, and retrainings with torch."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from trainorder.config.sections.sizes import residual_size
from trainorder.curriculum.objective import Objective
from trainorder.curriculum.step_records import SPAN
from trainorder.curriculum.step_search import Costed
from trainorder.errors import UserError
from trainorder.estimators.corrected import Corrected
from trainorder.evaluation.costs import Retraining
from trainorder.evaluation.finished_orders import SPENT, count_again, spent_since
from trainorder.evaluation.readouts import readout_names
from trainorder.evaluation.replaying import replayed_readouts
from trainorder.evaluation.retraining import TrainingSetup, retrain_orders
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.recorded_runs import RecordedRuns
from trainorder.expansion.run_recorder import RunRecorder
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order import Order
from trainorder.orders.schedule_key import schedule_digest
from trainorder.storage.sealed_hdf5 import creating, opened
from trainorder.training.problem import LanguageProblem

RULE = "step_search"  # that runs the search, for error messages
NEIGHBOURS = 3  # runs beside the incumbent's own that correct an estimate
_SKETCH_ROWS = 16  # the sketches of these orders are not used


@dataclass(frozen=True)
class TrainedLandscape:
    """Orders of a study.

    Attributes:
        problem: the learning problem; its meter counts the passes.
        expansion: with the state before the window.
        setup: how orders are retrained; its recorder is replaced.
        runs: the recorded runs, which grow.
        objective: what the search lowers, averaged over the readouts of `setup`.
        sizes: of the subsamples for which new runs are recorded.
        folder: of the files of new runs. Runs that an earlier process finished are not repeated.
        key: the study key of these files.
        files: the stack that keeps these files open.
        seed: of units that are sampled, see `Corrected`.

    """

    problem: LanguageProblem
    expansion: Expansion
    setup: TrainingSetup
    runs: RecordedRuns
    objective: Objective
    sizes: Sequence[int]
    folder: Path
    key: str
    files: ExitStack
    seed: int

    def estimate(self, about: np.ndarray, schedules: np.ndarray, size: int) -> Costed:
        """Estimate schedules (O, T, k) with the run on `about` (T, k) and its nearest runs."""
        problem, setup = self.problem, self.setup
        stored = residual_size(size, problem.sequences)
        known = self.runs.about(about, stored, NEIGHBOURS)
        estimator = Corrected(self.expansion, known, size, self.seed)
        before = problem.meter.as_dict()
        with problem.meter.time(SPAN):
            values = replayed_readouts(
                estimator,
                problem,
                torch.from_numpy(schedules),
                setup.readouts,
                setup.averaged_states,
            )
        unit = Retraining(schedules[0].size * problem.sequences, problem.size)
        spent = [unit.counted([record], SPAN) for record in (before, problem.meter.as_dict())]
        return Costed(self._objective(values), spent[1] - spent[0])

    def retrain(self, schedules: np.ndarray) -> Costed:
        """Retrain schedules (O, T, k), and add their runs to the recorded ones.

        What an earlier process spent on a run that it recorded is counted again.
        """
        values = [self._retrained(schedule) for schedule in schedules]
        return Costed(np.array(values), float(len(values)))

    def _retrained(self, schedule: np.ndarray) -> float:
        file = self.folder / f"{schedule_digest(schedule)}.h5"
        spent = self._spent(file)
        if spent is None:
            self._record(schedule, file)
        else:
            count_again(self.problem.meter, spent)
        run = self.files.enter_context(opened(file, self.key, RULE))
        self.runs.add(run)
        return float(run.attribute("objective"))

    def _spent(self, file: Path) -> str | None:
        """Return what an earlier process spent to record this run; None if it did not record it.

        A damaged file counts as absent.
        """
        try:
            with opened(file, self.key, RULE) as run:
                return str(run.attribute(SPENT))
        except UserError:
            return None

    def _record(self, schedule: np.ndarray, file: Path) -> None:
        order = Order("searched", "searched", "curriculum", schedule)
        sizes = [residual_size(size, self.problem.sequences) for size in self.sizes]
        subsamples = replace(self.runs.subsamples, sizes=sorted(set(sizes)))
        before = self.problem.meter.as_dict()
        with creating(file, self.key) as content:
            recorder = RunRecorder(content, self.problem, subsamples, {1: order}, schedule.shape)
            outcome = retrain_orders(
                self.problem,
                [order],
                replace(self.setup, recorder=recorder),
                followed=[],
                sketch=SparseJL(self.problem.size, _SKETCH_ROWS),
                units={},
            )
            content.attrs.create("objective", float(self._objective(outcome["along"])[0]))
            content.attrs.create(SPENT, spent_since(before, self.problem.meter))

    def _objective(self, values: np.ndarray) -> np.ndarray:
        """Return the objective (O,) of metrics (O, R, M) after the readouts."""
        averaged = self.setup.averaged_states is not None
        metrics = readout_names(self.problem, averaged)
        mean: np.ndarray = self.objective.of(metrics, values).mean(axis=1)
        return mean
