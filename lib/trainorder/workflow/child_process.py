"""Runs a command that must end by itself: Snakemake, which unlocks its folder at the end."""

import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO


def run_to_end(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    output: IO[str] | None = None,
) -> int:
    """Run a command to its end, also after Ctrl-C, and return its exit status as a shell does.

    Args:
        command: the command with its arguments.
        environment: its environment; None for that of this process.
        output: the open file that takes its output and errors; None for those of this process.

    """
    errors = None if output is None else subprocess.STDOUT
    with (
        subprocess.Popen(command, env=environment, stdout=output, stderr=errors) as process,
        _signals_passed_to(process),
    ):
        status = process.wait()
    return status if status >= 0 else 128 - status


@contextmanager
def _signals_passed_to(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ignore Ctrl-C, which the terminal also sends to the process; pass on SIGTERM."""

    def ignore(number: int, frame: FrameType | None) -> None:
        pass

    def pass_on(number: int, frame: FrameType | None) -> None:
        process.send_signal(number)

    handlers = {signal.SIGINT: ignore, signal.SIGTERM: pass_on}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
