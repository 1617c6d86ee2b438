"""Runs jobs of the study in forked processes, each with a fault.

A driver imports the library once and forks a process for each job, which runs there as under
Snakemake. A fault is a function of this module that the process calls first.
"""

import gc
import json
import os
import pkgutil
import resource
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

from job_server import run_and_end
from workflow_tree import RESULTS, ROOT, SCRIPTS, Ended

DRAWN = {"true_spread", "forgetting"}  # the figures that a job draws
OWN_MOUNTS = ("unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)))


def none():
    """Change nothing."""


def little_memory(spare):
    """Limit the process to `spare` more bytes of address space."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + spare
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def kill_at_publication(renames):
    """Kill the process when it is about to publish a file, after `renames` other files."""
    replace, remaining = os.replace, [renames]

    def last(*paths):
        remaining[0] -= 1
        if remaining[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)

    os.replace = last


def jumping_clock():
    """Move the time of day of this process by a day, ahead or back, at every call."""
    true, calls = time.time_ns, [0]

    def wrong():
        calls[0] += 1
        return true() + (-1) ** calls[0] * 86_400 * 10**9

    time.time_ns, time.time = wrong, lambda: wrong() / 1e9


class Driver:
    """Forks jobs, in a separate mount namespace where the system allows one."""

    def __enter__(self):
        self.process = subprocess.Popen(
            [*(OWN_MOUNTS if can_mount() else ()), sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.wait()

    def run_job(self, tree, job, record, fault=none, *arguments):
        """Run a job and return how it ended; `error` is everything that it printed."""
        return self.run_jobs(tree, [(job, record)], fault, *arguments)[0]

    def run_jobs(self, tree, jobs, fault=none, *arguments):
        """Run several jobs at once."""
        requests = []
        for number, (job, record) in enumerate(jobs):
            rule = job.split("-")[0]
            terminal, log = tree.root / f"terminal-{number}.txt", RESULTS / f"logs/{job}.log"
            script = ROOT / "scripts" / f"{SCRIPTS.get(rule, rule)}.py"
            paths = [str(path) for path in (tree.root, terminal, log, script)]
            requests.append([*paths, record, fault.__name__, arguments])
        codes = self._ask(jobs=requests)
        printed = [Path(request[1]).read_text().rstrip("\n") for request in requests]
        return [Ended(code, text, "") for code, text in zip(codes, printed, strict=True)]

    def command(self, *command):
        """Run a command in the mount namespace of the jobs."""
        assert self._ask(command=list(map(str, command))) == 0, f"{command} failed"

    def seen(self, path):
        """Return the path by which this process sees the `path` of a job."""
        return Path(f"/proc/{self.process.pid}/root") / path.relative_to("/")

    def _ask(self, **request):
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


def can_mount():
    """Return whether a process may have its own mounts on this system."""
    with tempfile.TemporaryDirectory() as folder:
        command = (*OWN_MOUNTS, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder)
        try:
            return subprocess.run(command, capture_output=True).returncode == 0
        except FileNotFoundError:
            return False


def serve():
    """Answer requests until the input ends."""
    import_libraries()
    for line in sys.stdin:
        request = json.loads(line)
        if "command" in request:
            answer = subprocess.run(request["command"], stdout=sys.stderr).returncode
        else:
            children = [forked(*job) for job in request["jobs"]]
            answer = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(answer), flush=True)


def import_libraries():
    """Import everything that jobs use, including modules that libraries import lazily."""
    import trainorder

    for module in pkgutil.walk_packages(trainorder.__path__, "trainorder."):
        import_module(module.name)
    for name in ("transformers.models.llama.modeling_llama", "matplotlib.backends.backend_pdf"):
        import_module(name)
    draw_two_figures()
    gc.freeze()


def draw_two_figures():
    """Let the jobs draw two figures only, which saves minutes."""
    from trainorder.figures.drawing import FIGURES

    for name in FIGURES.keys() - DRAWN:
        del FIGURES[name]


def forked(folder, terminal, log, script, record, fault, arguments):
    """Start a job in a new process and return its id."""
    child = os.fork()
    if child:
        return child
    os.chdir(folder)
    output = os.open(terminal, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    record = SimpleNamespace(**record, log=[log], config={"memory_gb": 4})
    return run_and_end(script, {"snakemake": record}, partial(globals()[fault], *arguments))


if __name__ == "__main__":
    serve()
