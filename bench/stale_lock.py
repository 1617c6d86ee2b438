"""Removes the lock that a killed Snakemake left in a folder.

Snakemake locks the outputs of a run by files in `.snakemake/locks/`. A killed run leaves them, and
each later run of these outputs fails until `snakemake --unlock`. Such a lock is stale if no
Snakemake process works in the folder any more; jobs that outlive their Snakemake count as such.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil

_MESSAGES = ("LockException", "cannot be locked")


def says_locked(output: str) -> bool:
    """Return whether the output of Snakemake says that the folder is locked."""
    return any(message in output for message in _MESSAGES)


def snakemake_processes(folder: Path) -> list[int]:
    """Return the ids of the Snakemake processes that work in a folder, without this process."""
    found = []
    for process in psutil.process_iter():
        try:
            words, where = process.cmdline(), process.cwd()
        except (psutil.Error, OSError):  # it ended, or it belongs to another user
            continue
        if process.pid != os.getpid() and Path(where) == folder and _is_snakemake(words):
            found.append(process.pid)
    return found


def _is_snakemake(words: Sequence[str]) -> bool:
    """Return whether a command is Snakemake, or a job that runs a script of `.snakemake`."""
    paths = [Path(word) for word in words]
    return any(path.name == "snakemake" or ".snakemake" in path.parts for path in paths)


def unlocked(command: Sequence[str]) -> bool:
    """Unlock the working folder if no Snakemake works in it, and return whether it did.

    Args:
        command: the Snakemake command that found the folder locked.

    """
    if snakemake_processes(Path.cwd()):
        return False
    done = subprocess.run([*command, "--unlock"], capture_output=True, check=False)
    return done.returncode == 0
