"""Runs a study with Snakemake in a subprocess and reads its result files.

All paths are relative to the top folder, in which Snakemake runs.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bench.stale_lock import says_locked, unlocked
from trainorder.config.loading import load_config
from trainorder.errors import DivergedError, UserError
from trainorder.evaluation.results import Results
from trainorder.storage import provenance
from trainorder.storage.formats import read_json, write_text
from trainorder.workflow.child_process import run_to_end
from trainorder.workflow.code_hash import code_hash

RESULTS = Path("results")
SCRIPTS = Path(__file__).parents[1] / "scripts"
FOLDER = RESULTS / "bench"  # files of the benchmark itself
SEEDS = ("init", "data", "order")
# The section `curvature` of studies that were measured before pools and probed steps could grow.
FIXED_PROBING = {"pool": 20, "anchors": 1}


@dataclass(frozen=True)
class Study:
    """A study: the default configuration, changed by a preset and then by a layer.

    Attributes:
        name: name of the study; its results are in `results/<name>/`.
        preset: name of a file in `presets/` without its suffix; empty for none.
        layer: changes to both, without the key `study`.

    """

    name: str
    preset: str = ""
    layer: Mapping[str, Any] = field(default_factory=dict)

    @property
    def results(self) -> Path:
        """The folder of its results."""
        return RESULTS / self.name

    @property
    def file(self) -> Path:
        """The file of its layer."""
        return FOLDER / "configs" / f"{self.name}.yaml"

    def write(self) -> list[Path]:
        """Write the layer and return the configuration files; later files override earlier ones."""
        write_text(self.file, yaml.safe_dump({**self.layer, "study": self.name}, sort_keys=False))
        return [*self._presets(), self.file]

    def config(self) -> dict[str, Any]:
        """Return the whole configuration as Snakemake will see it.

        Raises:
            UserError: a file is missing or is not a YAML mapping.

        """
        return load_config("config.yaml", *self.write())

    def key(self, scripts: Sequence[str], sections: Sequence[str] = ()) -> str:
        """Return a hash of the code of some scripts and of sections of the configuration.

        Without `sections`, the whole configuration counts.
        """
        config = self.config()
        code = [code_hash(SCRIPTS / f"{script}.py") for script in scripts]
        return provenance.digest({name: config[name] for name in sections or config}, code)

    def read(self) -> Results:
        """Return the result files.

        Raises:
            UserError: the study is missing or not complete.

        """
        if not (self.results / "validation.json").is_file():
            raise UserError(f"{self.results}/validation.json: no such file; run the study first")
        return Results.read(self.results)

    def job(self, rule: str) -> dict[str, Any]:
        """Return the job record of a rule from the file beside its log.

        Raises:
            UserError: the rule did not run.

        """
        record: dict[str, Any] = read_json(self.results / "logs" / f"{rule}.json", rule)
        return record

    def remove(self) -> None:
        """Delete the results."""
        shutil.rmtree(self.results, ignore_errors=True)

    def _presets(self) -> list[Path]:
        return [Path("presets") / f"{self.preset}.yaml"] if self.preset else []


def seeded(seed: int) -> dict[str, Any]:
    """Return the layer that sets all seeds to `seed`."""
    return {"seeds": dict.fromkeys(SEEDS, seed)}


def run(study: Study, cores: int | None = None, targets: Sequence[str] = ()) -> None:
    """Bring a study, or some of its files, up to date.

    Args:
        study: the study.
        cores: number of jobs at once; None: the number of CPU cores.
        targets: rules, or files relative to the results of the study; empty: the whole study.

    Raises:
        DivergedError: a training of the study diverged.
        UserError: Snakemake failed; the message contains the error line of the failed job.

    """
    files = [str(study.results / target) if "." in target else target for target in targets]
    layers = [str(path) for path in study.write()]
    count = str(cores or os.cpu_count() or 1)
    command = [sys.executable, "-m", "snakemake", *files, "--cores", count, "--configfile", *layers]
    log = FOLDER / "logs" / f"{study.name}.log"
    status = _logged(command, log)
    if status and says_locked(_text(log)) and unlocked(command):
        say(f"study {study.name}: removed the lock of a Snakemake that was killed")
        status = _logged(command, log)
    if status:
        diverged = any((study.results / "logs").glob("*.diverged"))
        raise (DivergedError if diverged else UserError)(
            f"study {study.name}: {_why(_text(log))}; see {log}"
        )


def _logged(command: Sequence[str], log: Path) -> int:
    """Run a command with its output in a log, and return its exit status."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8") as handle:
        return run_to_end(command, output=handle)


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def _why(output: str) -> str:
    """Return the reason of a failure as one line, from the output of Snakemake."""
    lines = [line.removeprefix("error: ") for line in output.splitlines() if line[:7] == "error: "]
    if lines:
        return lines[0]
    if says_locked(output):
        return "another Snakemake runs in this folder; wait for its end"
    if "on user request" in output:
        return "interrupted; run the command again to go on"
    return "Snakemake failed"


def say(text: str) -> None:
    """Print a line of progress."""
    print(text, flush=True)


def environment() -> dict[str, Any]:
    """Return the versions of the libraries and the machine."""
    return {"versions": provenance.versions(), "machine": provenance.machine()}


def environment_text(record: Mapping[str, Any]) -> str:
    """Return the content of `environment` as one line."""
    versions, machine = record["versions"], record["machine"]
    names = ("python", "torch", "transformers", "numpy")
    libraries = ", ".join(f"{name} {versions[name]}" for name in names if name in versions)
    return f"{machine['processor']}, {machine['cores']} cores; {libraries}"
