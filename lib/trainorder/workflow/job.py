"""Runs one script of a study, under Snakemake or by hand.

A script defines `main(job)` and calls `run(main, globals().get("snakemake"))`. Under Snakemake the
named inputs, outputs and params of the job come from its rule. They are also written to a JSON file
beside its log, with its memory limit, so that the same job can be run again by hand:
`python scripts/truth.py results/default/logs/truth-0.json`.
"""

import io
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainorder.errors import DivergedError, UserError
from trainorder.numerics.memory_budget import DEFAULT_GB, hold_at_most
from trainorder.storage.formats import read_json, sha256_file, write_json, write_text
from trainorder.storage.provenance import digest
from trainorder.training.meter import Meter
from trainorder.workflow.source import user_command

_PARTS = ("input", "output", "params")
_MEMORY = "memory_gb"  # a key of the configuration; not a param, as no result depends on it
_NO_MEMORY = re.compile("can't allocate memory|memory allocation failed|out of memory")
_NO_GPU_MEMORY = re.compile("CUDA.*out of memory|CUBLAS_STATUS_ALLOC_FAILED")


@dataclass
class Job:
    """Named inputs and outputs (a path, or a list of paths) and parameters of one job."""

    input: dict[str, Any]
    output: dict[str, Any]
    params: dict[str, Any]
    log: str | None = None
    meter: Meter = field(default_factory=Meter)

    def identity(self) -> str:
        """Return a hash of what determines the outputs: the parameters and the bytes of the inputs.

        The parameters contain the code hash and the rule's section of the configuration.
        """
        paths = {
            name: [value] if isinstance(value, str) else value for name, value in self.input.items()
        }
        inputs = {name: [sha256_file(path) for path in paths[name]] for name in sorted(paths)}
        return digest(self.params, inputs)


def run(main: Callable[[Job], None], snakemake: Any = None) -> None:
    """Run `main`. A `UserError` or too little memory ends the process with one line, status 1."""
    try:
        job = _from_snakemake(snakemake) if snakemake is not None else _from_command_line()
        with _logging(job.log):
            _run(main, job)
    except UserError as error:
        sys.exit(f"error: {error}")


def _run(main: Callable[[Job], None], job: Job) -> None:
    """Run `main` and write its cost if the rule has an output `cost`."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if job.log is not None:
        divergence_file(job.log).unlink(missing_ok=True)
    try:
        with _memory():
            main(job)
    except UserError as error:
        if job.log is not None:  # `run` prints the line on the terminal
            print(f"error: {error}", file=sys.stderr)
            if isinstance(error, DivergedError):
                write_text(divergence_file(job.log), f"{error}\n")
        raise
    if "cost" in job.output:
        write_json(job.output["cost"], job.meter.as_dict())


def divergence_file(log: str | Path) -> Path:
    """Return the file beside a job's log that exists if the training of the job diverged."""
    return Path(log).with_suffix(".diverged")


@contextmanager
def _memory() -> Iterator[None]:
    """Turn the out-of-memory errors of Python, numpy, torch and HDF5 into a `UserError`."""
    try:
        yield
    except Exception as error:
        if _NO_GPU_MEMORY.search(str(error)):
            raise UserError(
                f"out of GPU memory ({error}); lower window.unit_size, corpus.sequence_length or "
                "the model size, or use a larger GPU or device: cpu"
            ) from error
        if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
            raise UserError(
                f"out of memory ({str(error) or 'Python'}); run fewer jobs at once, or "
                f"request more memory (`mem_mb` of the rule); `{user_command('plan')}` shows what "
                "jobs need"
            ) from error
        raise


def _from_snakemake(snakemake: Any) -> Job:
    memory_gb = snakemake.config[_MEMORY]
    hold_at_most(memory_gb)
    parts = {name: _plain(getattr(snakemake, name)) for name in _PARTS}
    record = {**parts, _MEMORY: memory_gb}
    write_text(Path(snakemake.log[0]).with_suffix(".json"), json.dumps(record, indent=1) + "\n")
    return Job(parts["input"], parts["output"], parts["params"], log=snakemake.log[0])


def _plain(named: Any) -> dict[str, Any]:
    return {
        name: value if isinstance(value, (dict, str, int, float, type(None))) else list(value)
        for name, value in named.items()
    }


def _from_command_line() -> Job:
    if len(sys.argv) != 2:
        raise UserError(
            f"usage: python {sys.argv[0]} JOB.json, a file with `input`, `output` and `params` "
            "that each job leaves beside its log in results/<study>/logs/"
        )
    record = read_json(sys.argv[1])
    if not isinstance(record, dict) or not all(
        isinstance(record.get(name), dict) for name in _PARTS
    ):
        raise UserError(f"{sys.argv[1]}: not a job file; expected mappings {', '.join(_PARTS)}")
    memory_gb = record.get(_MEMORY, DEFAULT_GB)
    if not isinstance(memory_gb, int | float) or not 0 <= memory_gb < math.inf:
        raise UserError(f"{sys.argv[1]}: {_MEMORY}: expected a number of at least 0")
    hold_at_most(memory_gb)
    inputs, outputs, params = (_Part(part, record[part]) for part in _PARTS)
    return Job(inputs, outputs, params)


class _Part(dict[str, Any]):
    """One part of a job file. A missing key is an error of the user who chose the file."""

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.name = name

    def __missing__(self, key: str) -> Any:
        raise UserError(
            f"{sys.argv[1]}: no `{key}` under `{self.name}`, so it is a job of another rule; "
            f"use a job file of the rule that runs {sys.argv[0]}"
        )


@contextmanager
def _logging(log: str | None) -> Iterator[None]:
    """Send what the job prints, including progress bars, to its log."""
    if log is None:
        yield
        return
    with (
        _opened_log(Path(log)) as handle,
        redirect_stdout(handle),
        redirect_stderr(handle),
    ):
        yield


def _opened_log(path: Path) -> io.TextIOWrapper:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return io.TextIOWrapper(_LogFile(path, "w"), encoding="utf-8", write_through=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


class _LogFile(io.FileIO):
    """A log that ignores a full disk, because writing the job's own files reports that."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError:
            return len(content)
