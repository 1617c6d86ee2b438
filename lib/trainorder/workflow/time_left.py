"""How long the rest of a run takes, by the plan of the study and the time that the run has taken.

Jobs differ too much to be counted: in the default study they take from one second to two minutes.
So each job counts with its planned seconds, from `plan.json`. The rest of the work takes as long,
by planned second, as the jobs that have finished; at first, when few have, as long as planned.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainorder.config.estimator_names import method_of
from trainorder.errors import UserError
from trainorder.storage.formats import read_json

PLAN = "plan.json"  # in the folder of the results
# The planned speed counts as if such a part of the work had been done at it, before the run.
_PRIOR = 0.1
_REPLICATE = re.compile(r"^r\d+_")  # rules of a replicate have such a name before their own


@dataclass(frozen=True)
class PlannedTime:
    """The planned time of the jobs of a study.

    Attributes:
        seconds: of a job, by rule.
        at_once: number of jobs that the plan runs at once, on the average.

    """

    seconds: Mapping[str, float]
    at_once: float

    @classmethod
    def read(cls, results: Path) -> "PlannedTime | None":
        """Return the planned time of the study in a folder; None if it has no readable plan."""
        try:
            return cls.of(read_json(results / PLAN))
        except UserError:
            return None

    @classmethod
    def of(cls, plan: Mapping[str, Any]) -> "PlannedTime":
        """Return the planned time in the content of `plan.json`."""
        seconds, jobs = defaultdict[str, float](float), defaultdict[str, int](int)
        for stage, entry in plan["stages"].items():
            rule, _, name = stage.partition("/")
            rule = method_of(name).rule if rule == "estimate" else rule
            seconds[rule] += entry["seconds"]
            jobs[rule] += entry["jobs"]
        total = plan["total"]
        return cls(
            {rule: seconds[rule] / jobs[rule] for rule in seconds},
            total["seconds"] / 3600 / total["wall_hours"],
        )

    def work(self, jobs: Mapping[str, int]) -> float:
        """Return the planned seconds of jobs, by rule; a job that is not planned only starts."""
        start = min(self.seconds.values())
        return sum(n * self.seconds.get(_REPLICATE.sub("", r), start) for r, n in jobs.items())

    def left(self, jobs: Mapping[str, int], done: Mapping[str, int], elapsed: float) -> float:
        """Return the seconds that the rest of a run takes.

            left = (W - w) (t + p W / a) / (w + p W)

        with the planned work W of the whole run and w of the jobs that have finished, in seconds,
        the time t since the start, a jobs at once in the plan, and p = `_PRIOR`.

        Args:
            jobs: of the whole run, by rule; at least one.
            done: those that have finished, by rule.
            elapsed: t, in seconds.

        """
        work, finished = self.work(jobs), self.work(done)
        prior = _PRIOR * work
        rest = max(0.0, work - finished)
        return rest * (elapsed + prior / self.at_once) / (finished + prior)


def about(seconds: float) -> str:
    """Return an estimated time as text, in whole minutes.

    Examples:
        >>> [about(seconds) for seconds in (40, 100, 7500)]
        ['less than a minute', 'about 2 min', 'about 2 h 5 min']

    """
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    hours = f"{minutes // 60} h " if minutes >= 60 else ""
    return f"about {hours}{minutes % 60} min"
