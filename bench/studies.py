"""A study as a subprocess of Snakemake: its configuration layer, its run, its result files.

Everything is relative to the top folder, in which Snakemake runs.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from trainorder.config.loading import load_config
from trainorder.errors import DivergedError, UserError
from trainorder.evaluation.results import Results
from trainorder.storage import provenance
from trainorder.storage.formats import read_json, write_text
from trainorder.workflow.code_hash import code_hash

RESULTS = Path("results")
SCRIPTS = Path(__file__).parents[1] / "scripts"
FOLDER = RESULTS / "bench"  # what the drivers keep for themselves
SEEDS = ("init", "data", "order")


@dataclass(frozen=True)
class Study:
    """One study: the default configuration, a preset over it, and a layer over both.

    Attributes:
        name: its results lie in `results/<name>/`.
        preset: name of a file in `presets/`, without ending; empty for none.
        layer: changes to both, without the name.

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
        """Where its layer is written."""
        return FOLDER / "configs" / f"{self.name}.yaml"

    def write(self) -> list[Path]:
        """Write the layer, and return the configuration files of the study, last over first."""
        write_text(self.file, yaml.safe_dump({"study": self.name, **self.layer}, sort_keys=False))
        return [*self._presets(), self.file]

    def config(self) -> dict[str, Any]:
        """Return the whole configuration as Snakemake will see it.

        Raises:
            UserError: a file is missing or is not a YAML mapping.

        """
        return load_config("config.yaml", *self.write())

    def key(self, scripts: Sequence[str], sections: Sequence[str] = ()) -> str:
        """Return a hash of the code behind some scripts, and of the configuration.

        Only the given `sections` of it count; all of them if there are none.
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
            raise UserError(f"{self.results}/validation.json: no such file; the study was not made")
        return Results.read(self.results)

    def job(self, rule: str) -> dict[str, Any]:
        """Return the record that a rule's job left beside its log.

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
    """Return the layer in which all seeds are `seed`."""
    return {"seeds": dict.fromkeys(SEEDS, seed)}


def run(study: Study, cores: int | None = None, targets: Sequence[str] = ()) -> None:
    """Bring a study up to date, or only some of its files; what is there already stays.

    Args:
        study: the study.
        cores: jobs at once; None is as many as there are cores.
        targets: rules, or files relative to the results of the study; none is the whole study.

    Raises:
        DivergedError: a training of the study diverged.
        UserError: Snakemake failed; the text is the error line of the job that failed.

    """
    files = [str(study.results / target) if "." in target else target for target in targets]
    layers = [str(path) for path in study.write()]
    count = str(cores or os.cpu_count() or 1)
    command = ["snakemake", *files, "--cores", count, "--configfile", *layers]
    log = FOLDER / "logs" / f"{study.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8") as handle:
        status = subprocess.run(
            [sys.executable, "-m", *command], stdout=handle, stderr=subprocess.STDOUT, check=False
        ).returncode
    if status:
        diverged = any((study.results / "logs").glob("*.diverged"))
        raise (DivergedError if diverged else UserError)(
            f"study {study.name}: {_why(log)}; see {log}"
        )


def _why(log: Path) -> str:
    """Return what went wrong in one line, from what Snakemake and the steps printed."""
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.removeprefix("error: ") for line in text.splitlines() if line[:7] == "error: "]
    if lines:
        return lines[0]
    if "LockException" in text or "cannot be locked" in text:
        return "another Snakemake runs in this folder; if none does: snakemake --unlock"
    return "Snakemake failed"


def say(text: str) -> None:
    """Tell the user how far it is."""
    print(text, flush=True)


def made() -> dict[str, Any]:
    """Return the versions and the machine that numbers are measured with."""
    return {"versions": provenance.versions(), "machine": provenance.machine()}


def made_text(record: Mapping[str, Any]) -> str:
    """Return `made` in one line."""
    versions, machine = record["versions"], record["machine"]
    names = ("python", "torch", "transformers", "numpy")
    libraries = ", ".join(f"{name} {versions[name]}" for name in names if name in versions)
    return f"{machine['processor']}, {machine['cores']} cores; {libraries}"
