"""Steps of the study in processes of their own, each with something done to it.

A driver imports the library once and forks a process for each step, which runs and ends there as
Snakemake would have it. A fault is a function of this module that the process calls first.
"""

import ctypes
import gc
import json
import os
import pkgutil
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

from workflow_tree import RESULTS, ROOT, SCRIPTS, Ended

OWN_MOUNTS = ("unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)))


def none():
    """Leave the process alone."""


def little_memory(spare):
    """Let the process take `spare` bytes more of address space."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + spare
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def killed(renames):
    """Kill the process when it is about to publish a file, after `renames` others."""
    replace, left = os.replace, [renames]

    def last(*paths):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)

    os.replace = last


def jumping_clock():
    """Set this process's time of day a day ahead or back at every look."""
    true, looks = time.time_ns, [0]

    def wrong():
        looks[0] += 1
        return true() + (-1) ** looks[0] * 86_400 * 10**9

    time.time_ns, time.time = wrong, lambda: wrong() / 1e9


class Driver:
    """Forks the steps, in a mount namespace of its own where it may have one."""

    def __enter__(self):
        self.process = subprocess.Popen(
            [*(OWN_MOUNTS if mounts() else ()), sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.wait()

    def step(self, tree, job, record, fault=none, *arguments):
        """Run one step; return how it ended, `error` being all that stood on its terminal."""
        return self.steps(tree, [(job, record)], fault, *arguments)[0]

    def steps(self, tree, jobs, fault=none, *arguments):
        """Run several at once."""
        asked = []
        for number, (job, record) in enumerate(jobs):
            rule = job.split("-")[0]
            terminal, log = tree.root / f"terminal-{number}.txt", RESULTS / f"logs/{job}.log"
            script = ROOT / "scripts" / f"{SCRIPTS.get(rule, rule)}.py"
            paths = [str(path) for path in (tree.root, terminal, log, script)]
            asked.append([*paths, record, fault.__name__, arguments])
        codes = self._ask(steps=asked)
        shown = [Path(step[1]).read_text().rstrip("\n") for step in asked]
        return [Ended(code, text, "") for code, text in zip(codes, shown, strict=True)]

    def command(self, *command):
        """Run a command where the steps run."""
        assert self._ask(command=list(map(str, command))) == 0, f"{command} failed"

    def seen(self, path):
        """Return the name by which this process sees what a step sees as `path`."""
        return Path(f"/proc/{self.process.pid}/root") / path.relative_to("/")

    def _ask(self, **request):
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


def mounts():
    """Whether a process here may have mounts of its own."""
    with tempfile.TemporaryDirectory() as folder:
        tried = (*OWN_MOUNTS, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder)
        try:
            return subprocess.run(tried, capture_output=True).returncode == 0
        except FileNotFoundError:
            return False


def serve():
    """Answer requests until there are no more."""
    import_libraries()
    for line in sys.stdin:
        request = json.loads(line)
        if "command" in request:
            answer = subprocess.run(request["command"], stdout=sys.stderr).returncode
        else:
            children = [forked(*step) for step in request["steps"]]
            answer = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(answer), flush=True)


def import_libraries():
    """Import all that steps use, the parts that libraries import late among them."""
    import trainorder

    for module in pkgutil.walk_packages(trainorder.__path__, "trainorder."):
        import_module(module.name)
    for late in ("transformers.models.llama.modeling_llama", "matplotlib.backends.backend_pdf"):
        import_module(late)
    gc.freeze()


def forked(folder, terminal, log, script, record, fault, arguments):
    """Start a step in a new process; return its id."""
    child = os.fork()
    if child:
        return child
    os.chdir(folder)
    output = os.open(terminal, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code = 1
    try:
        globals()[fault](*arguments)
        runpy.run_path(
            script,
            {"snakemake": SimpleNamespace(**record, log=[log], config={"memory_gb": 4})},
            "__main__",
        )
        code = 0
    except SystemExit as end:
        print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    return ctypes.CDLL(None).exit(code)  # as Python ends, but does not take apart its modules


if __name__ == "__main__":
    serve()
