"""A copy of the work tree, and functions that run the study or single jobs in it."""

import contextlib
import csv
import io
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import job_server
from trainorder.storage.sealed_hdf5 import creating, opened

ROOT = Path(__file__).parents[2]
SMOKE = ("--configfile", "presets/smoke.yaml")
RESULTS = Path("results/smoke")
# Timings, figures and the report of timings, trainer states.
TIMED = ("logs", "costs", "figures", "report.html", ".work")


@dataclass
class Plan:
    """The number of jobs of each rule that would run, and the rules whose params have changed."""

    jobs: dict
    changed: set


class Tree:
    """A copy of the work tree with its own results."""

    def __init__(self, root):
        self.root = root
        self.results = root / RESULTS

    def environment(self):
        """Return an environment in which `trainorder` is the library of the copy."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PYTHONPATH": str(self.root / "lib"), "PATH": path}

    def snakemake(self, *arguments, timeout=600, forks="all", **how):
        """Run Snakemake to its end; return its exit status and its output."""
        with self.started(*arguments, forks=forks, **how) as process:
            try:
                output, _ = process.communicate(timeout=timeout)
            finally:
                stop(process)
        return process.returncode, output

    def started(self, *arguments, output=subprocess.PIPE, before=(), forks="jobs"):
        """Start Snakemake in a new process group.

        Args:
            arguments: those of Snakemake.
            output: a file or a pipe.
            before: a command prefix, such as `setpriv` with its options; it prevents forks.
            forks: "jobs", "all" or None: what is a fork of one process, which starts it faster
                (`job_server`). That process has other privileges and torch in memory, and signals
                to Snakemake do not reach its fork.

        """
        python, snakemake = job_server.programs() if forks and not before else (None, None)
        if python is None:
            command = [*before, sys.executable, "-m", "snakemake"]
        else:
            command = [python if forks == "all" else sys.executable, snakemake]
        return subprocess.Popen(
            [*command, *arguments],
            cwd=self.root,
            env=self.environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def plan(self, *arguments):
        """Return the plan of a dry-run."""
        status, output = self.snakemake("--dry-run", *arguments, timeout=300)
        assert status == 0, output
        if "Nothing to be done" in output:
            return Plan({}, set())
        table = output[output.rindex("Job stats:") :].split("\n\n")[0]
        rows = [line.split() for line in table.splitlines()[3:]]
        changed = re.findall(r"params have changed since last execution:\n +(.*)", output)
        return Plan(
            {rule: int(count) for rule, count in rows if rule not in ("total", "all")},
            {rule for rules in changed for rule in rules.split(", ")},
        )

    def job(self, name):
        """Return the job record from the file beside the log of a job."""
        return json.loads((self.results / "logs" / f"{name}.json").read_text())

    def job_elsewhere(self, name):
        """Return the record with absolute inputs of this tree, to run it in another folder."""
        record = self.job(name)
        for key, value in record["input"].items():
            paths = [value] if isinstance(value, str) else value
            paths = [str(self.root / path) for path in paths]
            record["input"][key] = paths[0] if isinstance(value, str) else paths
        return record

    def edit(self, file, old, new):
        """Replace `old`, which must occur once, in a file of the copy."""
        path = self.root / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file} has `{old}` {text.count(old)} times: fix this test"
        path.write_text(text.replace(old, new))


def stop(process):
    """Kill a process and the group it leads, and wait for it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tracked_files():
    """Return the names of the files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in filter(None, listed.stdout.split("\0")) if (ROOT / name).is_file()]


def work_tree(folder):
    """Copy the files that git tracks or would track into `folder`, and link the archives."""
    for name in tracked_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    (ROOT / "resources").mkdir(exist_ok=True)
    (folder / "resources").symlink_to(ROOT / "resources")
    return Tree(folder)


def copied(tree, folder, ignore=()):
    """Return a copy of a tree with its results and Snakemake's records, without `ignore`."""
    shutil.copytree(tree.root, folder, symlinks=True, ignore=shutil.ignore_patterns(*ignore))
    return Tree(folder)


def contents(results, estimators=None):
    """Return the bytes of every result file by name, without timings.

    With `estimators`, return the results that a study of only these estimators would have.
    """
    content = {}
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results)
        if not path.is_file() or name.parts[0] in TIMED:
            continue
        if estimators is not None and name.name == "costs.json":  # it has the costs of all stages
            continue
        if name.suffix == ".partial":  # not published when a job was killed
            continue
        if estimators is None or name.parts[0] != "estimates" or name.parts[1] in estimators:
            content[name.as_posix()] = lasting(name.name, path.read_bytes(), estimators)
    return content


def lasting(name, content, estimators):
    """Return a result file without the parts that differ each time, such as timings."""
    if name in ("estimates.csv", "trajectories.csv", "stepwise_losses.csv"):
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        selected = [row for row in rows if estimators is None or row["estimator"] in estimators]
        return json.dumps([untimed(row) for row in selected]).encode()
    if name in ("curriculum.json", "candidates.json", "memorization.json", "costs.json"):
        value = untimed(json.loads(content))
        if estimators is not None:  # a study of only these estimators has another configuration
            value.pop("provenance", None)
        return json.dumps(value).encode()
    if name == "validation.json":
        value = untimed(json.loads(content))
        if estimators is not None:
            scores = {name: value["estimators"][name] for name in estimators}
            for key in ("best_estimator", "selected_estimator", "verdict", "provenance"):
                del value[key]
            value["estimators"] = scores
        return json.dumps(value).encode()
    return content


def untimed(value):
    """Return nested values without seconds and memory; counted costs stay."""
    if isinstance(value, dict):
        return {
            key: untimed(inner)
            for key, inner in value.items()
            if key != "peak_bytes" and "seconds" not in key
        }
    return [untimed(inner) for inner in value] if isinstance(value, list) else value


def assert_same_results(one, other, because, estimators=None):
    """Compare two results folders; `because` explains a difference."""
    first, second = contents(one, estimators), contents(other, estimators)
    assert sorted(first) == sorted(second), "the two studies have different files"
    different = [name for name in first if first[name] != second[name]]
    assert not different, f"{because}: {', '.join(different)}"


def states(results):
    """Return inode and modification time of each file, which change when it is rewritten."""
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in results.rglob("*")
        if path.is_file()
    }


def wait_until(condition, process, timeout=300):
    """Wait until `condition()` is true; fail if the process ends first."""
    end = time.monotonic() + timeout
    while not condition():
        assert process.poll() is None, "the process ended before the condition was met"
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.002)


def of_another_study(path):
    """Rewrite a sealed file with the key of another study."""
    copy = path.with_name("copy.h5")
    with opened(path, None, "test") as old:
        attributes = {name: value for name, value in old.attrs.items() if name != "key"}
        with creating(copy, "0123456789abcdef", **attributes) as new:
            for name in old:
                old.copy(name, new)
    copy.replace(path)


@dataclass
class Ended:
    """The end of a job: its exit status, its last message, and its output."""

    code: int
    error: str
    printed: str


SCRIPTS = {
    "proxy_warm": "warm",
    "proxy_orders": "truth",
}  # rules that run the script of another rule


def by_hand(tree, rule, record):
    """Run the script of a rule on a job record, in this process to import the libraries once.

    An exception other than an error for the user is raised again.
    """
    path, script = tree.root / "by-hand.json", SCRIPTS.get(rule, rule)
    path.write_text(json.dumps(record))
    printed = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        patch.chdir(tree.root)
        patch.setattr(sys, "argv", [f"{script}.py", str(path)])
        try:
            runpy.run_path(str(ROOT / "scripts" / f"{script}.py"), run_name="__main__")
        except SystemExit as end:
            return Ended(1, str(end.code), printed.getvalue())
    return Ended(0, "", printed.getvalue())


def assert_one_line(ended, *parts):
    """Check that a job ended with one `error:` line that contains `parts`."""
    assert ended.code == 1, f"the job did not fail; it printed: {ended.printed}"
    assert ended.error.startswith("error: ")
    assert "\n" not in ended.error
    assert "error:" not in ended.printed, "the line would be printed twice"
    for part in parts:
        assert part in ended.error, f"`{part}` is not in the line: {ended.error}"
