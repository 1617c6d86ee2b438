"""Starts Snakemake and the jobs of a test's study in forks of one process with all imports done.

The imports take 2 to 5 seconds of a processor, a smoke study has 60 jobs, and the tests start
Snakemake 150 times. Snakemake starts a job as `PYTHON SCRIPT`. Here PYTHON is a small program that
passes its arguments, environment and open files to the server and waits for the fork. If the
program ends, so do the fork and its child processes. The rule `corpus` starts as usual: libraries
of hubs read the environment when they are imported.
`test_snakemake_killed_and_resumed_on_one_core_gives_the_bytes_of_two` starts Snakemake and the
jobs before its kill as users do and compares every file with a study of forks.
"""

import atexit
import ctypes
import functools
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path

IMPORTED = (  # by jobs, beside the library, which a test may have changed
    "h5py", "matplotlib.backends.backend_pdf", "pydantic", "scipy.optimize", "scipy.stats",
    "sklearn.linear_model", "snakemake.cli", "torch", "torch.func",
    "transformers.models.llama.modeling_llama",
)  # fmt: skip
PYTHON = """#!{python} -SE
import json, os, signal, socket, sys
if not sys.argv[1].endswith(".py") or sys.argv[1].endswith(".corpus.py"):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(request)
    code = int.from_bytes(server.recv(4), "big", signed=True)
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""
SNAKEMAKE = """# Snakemake, with another Python for its scripts
import sys
from snakemake.cli import main
sys.executable = {program!r}
main()
"""


@functools.cache
def programs():
    """Start the server of this process; return the program PYTHON, and Snakemake's script."""
    folder = tempfile.TemporaryDirectory(prefix="jobs-")
    address, program = f"{folder.name}/socket", Path(folder.name, "python")
    program.write_text(PYTHON.format(python=sys.executable, address=address))
    program.chmod(0o755)
    snakemake = Path(folder.name, "run_snakemake.py")
    snakemake.write_text(SNAKEMAKE.format(program=str(program)))
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    server = subprocess.Popen(
        [sys.executable, __file__, address],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    atexit.register(folder.cleanup)
    atexit.register(server.kill)
    assert server.stdout.readline() == b"ready\n", "the server of the jobs did not start"
    return str(program), str(snakemake)


def serve(address):
    """Fork a process for each request until the input ends."""
    for name in IMPORTED:
        import_module(name)
    gc.freeze()
    with selectors.DefaultSelector() as selector, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        selector.register(listener, selectors.EVENT_READ, None)
        selector.register(0, selectors.EVENT_READ, None)
        print("ready", flush=True)
        while True:
            for key, _ in selector.select():
                if key.fileobj == 0:
                    return
                if key.fileobj is listener:
                    start(selector, *listener.accept())
                else:
                    end(selector, *key.data)


def start(selector, client, _):
    """Fork a job, and wait for its end and for that of its client."""
    size, files, _, _ = socket.recv_fds(client, 8, 3)
    request = b""
    while len(request) < int.from_bytes(size, "big"):
        request += client.recv(1 << 20)
    child = os.fork()
    if not child:
        selector.close()
        run(files, *json.loads(request))
    os.setpgid(child, 0)
    for file in files:
        os.close(file)
    ended = os.pidfd_open(child)
    for source in (client, ended):
        selector.register(source, selectors.EVENT_READ, (client, child, ended))


def end(selector, client, child, ended):
    """Tell the client how its fork ended; if it is the client that has ended, kill the fork."""
    for source in (client, ended):
        selector.unregister(source)
    finished, status = os.waitpid(child, os.WNOHANG)
    if finished:
        client.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
    else:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    client.close()
    os.close(ended)


def run(files, arguments, folder, environment):
    """Run a script as `python SCRIPT ...` would, then end this process."""
    for standard, file in enumerate(files):
        os.dup2(file, standard)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # else that of the server
    added = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [str(Path(arguments[0]).parent), *filter(None, added)]
    sys.argv = arguments
    run_and_end(arguments[0])


def run_and_end(script, variables=None, first=lambda: None):
    """Call `first`, run a script with global `variables`, and end as Python would after it."""
    code = 1
    try:
        first()
        runpy.run_path(script, variables, "__main__")
        code = 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        else:
            code = error.code or 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).exit(code)  # does not finalize modules, which takes long


if __name__ == "__main__":
    serve(sys.argv[1])
