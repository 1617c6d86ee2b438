"""The progress of a study on the terminal, made from Snakemake's events.

There is one line per finished job, and one with the verdict as soon as it is known.

The events are log records with the attribute `event`, as Snakemake's interface of logger plugins
describes them. Errors are shown as Snakemake shows them, without the lists of files.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from logging import WARNING, LogRecord
from pathlib import Path
from typing import Any

from trainorder.errors import UserError
from trainorder.evaluation.result_files import VALIDATION
from trainorder.storage.formats import duration_text, read_json
from trainorder.workflow.source import user_command
from trainorder.workflow.time_left import PlannedTime, about

_NOTHING = "Nothing to be done"  # how Snakemake says that the study is finished


@dataclass
class _Job:
    rule: str
    name: str  # its wildcards other than the number of the shard
    start: float  # seconds since the epoch


class Progress:
    """The jobs of one run of Snakemake."""

    def __init__(
        self,
        format_record: Callable[[LogRecord], str],
        results: Callable[[], Path | None],
    ) -> None:
        """Use `format_record` for errors and warnings of Snakemake.

        `results` returns the folder of the study that runs, once its jobs are known. The folder has
        the plan, which gives the time left, and the verdict. It is None where neither is shown.
        """
        self._format = format_record
        self._results = results
        self._time: PlannedTime | None = None  # None without a plan
        self._start_time = 0.0  # seconds since the epoch
        self._planned: Counter[str] = Counter()  # jobs by rule
        self._done: Counter[str] = Counter()
        self._running: dict[int, _Job] = {}
        self._finished: list[str] = []  # lines that are printed with the next share done
        self._verdict: list[str] = []  # a line below them
        self._failed = False  # whether a job has failed

    def lines(self, record: LogRecord) -> list[str]:
        """Return the lines to print for a log record of Snakemake."""
        event = str(getattr(record, "event", None) or "")
        values: Mapping[str, Any] = vars(record)
        if event == "run_info":
            return self._plan(values["stats"], record.created)
        if event == "job_info":
            self._start(values)
        elif event == "job_finished":
            self._finish(values["job_id"], record.created)
        elif event == "progress":
            return self._shares(values["done"], values["total"], record.created)
        elif event == "job_error":
            return self._failure(values)
        elif record.levelno >= WARNING or str(record.msg).startswith(_NOTHING):
            return [self._format(record)]
        return []

    def _plan(self, stats: Mapping[str, int], now: float) -> list[str]:
        first = not self._planned
        self._planned = Counter(
            {rule: n for rule, n in stats.items() if rule not in ("all", "total")}
        )
        if not first:
            return []
        self._start_time, jobs = now, self._planned.total()
        line = f"{jobs} {'job' if jobs == 1 else 'jobs'} to run"
        results = self._results()
        if results is None or not jobs:
            return [line]
        self._time = PlannedTime.read(results)
        if self._time is None:
            return [f"{line}; to see the time left, run `{user_command('plan')}` first"]
        return [f"{line}, {about(self._time.left(self._planned, {}, 0))} by the plan"]

    def _start(self, values: Mapping[str, Any]) -> None:
        wildcards = dict(values["wildcards"])
        wildcards.pop("shard", None)
        name = " ".join(map(str, wildcards.values()))
        self._running[values["jobid"]] = _Job(values["rule_name"], name, values["created"])

    def _finish(self, job_id: int, end: float) -> None:
        job = self._running.pop(job_id, None)
        if job is None or job.rule == "all":
            return
        self._done[job.rule] += 1
        planned = self._planned[job.rule]
        count = f"{self._done[job.rule]} of {planned}" if planned > 1 else ""
        label = " ".join(part for part in (job.rule, job.name, count) if part)
        self._finished.append(f"{label} ... {duration_text(end - job.start)}")
        if job.rule == VALIDATION.rule:
            self._verdict = self._study_verdict()

    def _study_verdict(self) -> list[str]:
        # Imported here, because each start of Snakemake loads this module, and it needs numpy.
        from trainorder.evaluation.verdict import study_verdict

        results = self._results()
        if results is None:
            return []
        try:
            return [f"verdict: {study_verdict(read_json(VALIDATION.path(results)))}"]
        except UserError:
            return []

    def _shares(self, done: int, total: int, now: float) -> list[str]:
        """Return the lines of the jobs that finished since the last share."""
        end = ""
        if self._time is not None and done < total:
            left = self._time.left(self._planned, self._done, now - self._start_time)
            end = f", {about(left)} left"
        lines = [f"[{done / total:4.0%}] {line}{end}" for line in self._finished]
        self._finished.clear()
        lines += self._verdict
        self._verdict = []
        return lines

    def _failure(self, values: Mapping[str, Any]) -> list[str]:
        logs = ", ".join(values["log"])
        lines = [f"Rule {values['rule_name']} failed; its log: {logs or 'none'}"]
        if not self._failed:
            lines.append("Finished jobs stay: remove the cause and run the same command again")
        self._failed = True
        return lines
