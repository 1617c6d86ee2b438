"""All recorded runs of a study by their schedule, and the runs that are nearest to one of them."""

from collections.abc import Iterator

import h5py
import numpy as np

from trainorder.expansion.known_runs import KnownRuns, RecordedRun
from trainorder.expansion.subsamples import Subsamples
from trainorder.orders.schedule_key import schedule_key


class RecordedRuns:
    """The reference run and the runs of `RunRecorder`, in open files.

    Attributes:
        subsamples: those of the reference run, which all runs share.

    """

    def __init__(self, reference: h5py.File, schedule: np.ndarray) -> None:
        """Begin with the reference run.

        Args:
            reference: its open file, `residuals.h5`.
            schedule: (T, k) int64, its schedule, which has each unit once.

        """
        self.subsamples = Subsamples.of(reference)
        self._runs: dict[bytes, RecordedRun] = {}
        self._points: dict[bytes, np.ndarray] = {}
        self._take(RecordedRun(reference, 0, schedule))

    def add(self, file: h5py.File) -> None:
        """Add the runs of an open file of `RunRecorder`, as long as the file stays open."""
        for run in _runs_of(file):
            self._take(run)

    def __contains__(self, schedule: np.ndarray) -> bool:
        """Whether the run on a schedule (T, k) is recorded."""
        return schedule_key(schedule) in self._runs

    def about(self, schedule: np.ndarray, size: int, neighbours: int) -> KnownRuns:
        """Return the run on a schedule (T, k) and its nearest runs, for subsamples of one size.

        The distance of two runs is the mean over units of the squared distance of the parameters at
        which the runs consumed the unit.

        Args:
            schedule: of the run with number 0.
            size: of the subsamples.
            neighbours: largest number of other runs.

        Raises:
            KeyError: no such run is recorded.

        """
        key = schedule_key(schedule)
        own = self._points[key]
        others = [other for other in self._runs if other != key]
        others.sort(key=lambda other: float(np.square(self._points[other] - own).mean()))
        runs = [self._runs[name] for name in (key, *others[:neighbours])]
        return KnownRuns.of(runs, self.subsamples, size)

    def _take(self, run: RecordedRun) -> None:
        key, by_unit = schedule_key(run.schedule), np.argsort(run.schedule.ravel())
        self._runs[key], self._points[key] = run, run.points()[by_unit]


def _runs_of(file: h5py.File) -> Iterator[RecordedRun]:
    for place, schedule in enumerate(file["schedules"][()]):
        yield RecordedRun(file, place * schedule.size, schedule)
