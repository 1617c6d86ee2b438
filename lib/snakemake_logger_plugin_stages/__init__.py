"""Logger plugin of Snakemake: `snakemake --logger stages` prints one line per finished job.

Snakemake finds plugins by the name of their package. What is printed is in
`trainorder.workflow.progress`.
"""

import os
import sys
from logging import LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase

from trainorder.workflow.make_study import noted_results
from trainorder.workflow.progress import Progress


class LogHandler(LogHandlerBase):
    """Prints the lines of `Progress`; in a dry-run, what Snakemake itself prints."""

    def __post_init__(self) -> None:
        """Start without any job."""
        self.progress = Progress(self.format, lambda: noted_results(os.environ))

    def emit(self, record: LogRecord) -> None:
        """Print the lines for a log record."""
        dryrun = self.common_settings.dryrun
        lines = [self.format(record)] if dryrun else self.progress.lines(record)
        for line in filter(None, lines):
            print(line, file=sys.stderr, flush=True)

    @property
    def writes_to_stream(self) -> bool:
        """It replaces Snakemake's own output."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """It writes no file; Snakemake's own log file stays complete."""
        return False

    @property
    def has_filter(self) -> bool:
        """It has no filter."""
        return False

    @property
    def has_formatter(self) -> bool:
        """It has no formatter; errors look as in Snakemake."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """It does not need the graph of rules."""
        return False
