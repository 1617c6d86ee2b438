"""The progress of a study on the terminal: one line per finished job, made from Snakemake's events.

The events are log records with the attribute `event`, as Snakemake's interface of logger plugins
describes them. Errors are shown as Snakemake shows them, without the lists of files.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from logging import WARNING, LogRecord
from typing import Any

from trainorder.storage.formats import duration_text

_NOTHING = "Nothing to be done"  # how Snakemake says that the study is finished


@dataclass
class _Job:
    rule: str
    name: str  # its wildcards other than the number of the shard
    start: float  # seconds since the epoch


class Progress:
    """The jobs of one run of Snakemake."""

    def __init__(self, format_record: Callable[[LogRecord], str]) -> None:
        """Use `format_record` for errors and warnings of Snakemake."""
        self._format = format_record
        self._planned: Counter[str] = Counter()  # jobs by rule
        self._done: Counter[str] = Counter()
        self._running: dict[int, _Job] = {}
        self._finished: list[str] = []  # lines that are printed with the next share done

    def lines(self, record: LogRecord) -> list[str]:
        """Return the lines to print for a log record of Snakemake."""
        event = str(getattr(record, "event", None) or "")
        values: Mapping[str, Any] = vars(record)
        if event == "run_info":
            return self._plan(values["stats"])
        if event == "job_info":
            self._start(values)
        elif event == "job_finished":
            self._finish(values["job_id"], record.created)
        elif event == "progress":
            return self._shares(values["done"], values["total"])
        elif event == "job_error":
            return _failure(values)
        elif record.levelno >= WARNING or str(record.msg).startswith(_NOTHING):
            return [self._format(record)]
        return []

    def _plan(self, stats: Mapping[str, int]) -> list[str]:
        first = not self._planned
        self._planned = Counter({rule: n for rule, n in stats.items() if rule != "total"})
        jobs = sum(n for rule, n in self._planned.items() if rule != "all")
        return [f"{jobs} {'job' if jobs == 1 else 'jobs'} to run"] if first else []

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

    def _shares(self, done: int, total: int) -> list[str]:
        """Return the lines of the jobs that finished since the last share."""
        lines = [f"[{done / total:4.0%}] {line}" for line in self._finished]
        self._finished.clear()
        return lines


def _failure(values: Mapping[str, Any]) -> list[str]:
    logs = ", ".join(values["log"])
    return [f"Rule {values['rule_name']} failed; its log: {logs or 'none'}"]
