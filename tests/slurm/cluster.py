"""A SLURM of one node on loopback, all of its files in one folder. Needs root and `make slurm`."""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

# Daemons end with the tests, however these end, and after an hour at most.
BOUNDED = ("setpriv", "--pdeathsig", "TERM", "timeout", "--kill-after=5", "3600")
MEMORY_MB = 100_000  # more than there may be: jobs ask for more than the smoke study takes

# Nothing here needs systemd or cgroups. Memory is enforced by looking at it every second.
CONFIGURATION = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
AccountingStorageType=accounting_storage/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=5,sched_interval=5
SlurmdParameters=config_overrides
MinJobAge=3600
KillWait=3
GresTypes=gpu
NodeName=node1 NodeHostname=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:1
PartitionName=main Nodes=node1 Default=YES MaxTime=24:00:00 State=UP
PartitionName=gpu Nodes=node1 MaxTime=24:00:00 State=UP
"""
GENERIC_RESOURCES = "NodeName=node1 Name=gpu File=/dev/null\n"  # a GPU only by name
# The daemon of the node loads this plugin in any case; v1 asks nothing of the machine.
CGROUP = "CgroupPlugin=cgroup/v1\n"
# Jobs lose SLURM_CONF before they call srun, so that their PATH must lead to the cluster.
SRUN = '#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {srun} "$@"\n'


class Job(NamedTuple):
    """What the queue says of a job; its comment is what Snakemake calls it."""

    id: int
    state: str
    comment: str
    partition: str
    memory_mb: int

    @property
    def rule(self):
        """Return the rule that the job is of."""
        return self.comment.removeprefix("rule_").split("_wildcards_")[0]


class Cluster:
    """Daemons that live as long as the `with` block, and what they say."""

    def __init__(self, folder):
        self.folder = folder
        self.daemons = []

    def __enter__(self):
        try:
            self._configure()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error):
        self.stop()

    def environment(self, given=os.environ):
        """Return an environment with the commands of this cluster in it."""
        path = f"{self.folder}/bin:{given['PATH']}:/usr/sbin:/sbin"
        return {**given, "SLURM_CONF": f"{self.folder}/slurm.conf", "PATH": path}

    def run(self, *command):
        """Return what a command of SLURM prints; raise CalledProcessError if it fails."""
        return subprocess.run(
            command,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout

    def jobs(self):
        """Return all jobs that there were so far, the oldest first."""
        printed = self.run("squeue", "-h", "-t", "all", "-S", "i", "-o", "%i|%T|%k|%P|%m")
        jobs = [line.split("|") for line in printed.splitlines()]
        return [Job(int(id), *other, megabytes(memory)) for id, *other, memory in jobs]

    def asks_for_gpu(self, job):
        """Return whether a job asked for a GPU."""
        shown = self.run("scontrol", "show", "job", str(job.id))
        return re.search(r"^ *TresPer\w+=gres[:/]gpu[:=]1$", shown, re.M) is not None

    def killed_for_memory(self, job):
        """Return whether the node killed a job because it took more than it had asked for."""
        log = (self.folder / "slurmd.log").read_text()
        return f"StepId={job.id}.batch exceeded memory limit" in log

    def cancel(self, which):
        """Cancel the jobs that an argument of scancel names; wait until none is on its way out."""
        self.run("scancel", which)
        assert within(30, lambda: "COMPLETING" not in self.run("squeue", "-h", "-o", "%T"))

    def processes(self):
        """Return the processes whose environment names this cluster: its daemons and its jobs."""
        mark, found = f"{self.folder}/".encode(), []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):  # it ended
                if mark in path.read_bytes():
                    found.append(int(path.parent.name))
        return found

    def lose_node(self):
        """Kill at once, by their ids, the daemon of the node and all that runs on it.

        And say so to the controller, which would find out only after SlurmdTimeout.
        """
        found = []
        for process in self.processes():
            with contextlib.suppress(OSError):  # it ended
                name = Path(f"/proc/{process}/comm").read_text().strip()
                in_job = b"\0SLURM_JOB_ID=" in Path(f"/proc/{process}/environ").read_bytes()
                if in_job or name in ("slurmd", "slurmstepd"):
                    found.append((name != "slurmd", process))
        for _, process in sorted(found):  # the daemon first, so that it reports nothing
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.run("scontrol", "update", "nodename=node1", "state=down", "reason=lost")

    def restore_node(self):
        """Start the daemon of the node again, and let the controller use it."""
        self._daemon("slurmd", "-D", "-N", "node1")
        self.run("scontrol", "update", "nodename=node1", "state=resume")
        self._up("slurmd", lambda: "*" not in self.run("sinfo", "-h", "-o", "%T"))

    def stop(self):
        """End the jobs, then the daemons, then by its id whatever did not end by itself."""
        with contextlib.suppress(subprocess.SubprocessError, AssertionError):
            self.cancel("--user=root")
        for daemon in reversed(self.daemons):
            daemon.terminate()
        within(15, lambda: all(daemon.poll() is not None for daemon in self.daemons))
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for daemon in self.daemons:
            daemon.wait()

    def _configure(self):
        for name in ("state", "spool", "bin"):
            (self.folder / name).mkdir(parents=True)
        ports = free_ports(2)
        configuration = CONFIGURATION.format(
            folder=self.folder,
            controller_port=ports[0],
            node_port=ports[1],
            cpus=os.cpu_count(),
            memory=MEMORY_MB,
        )
        (self.folder / "slurm.conf").write_text(configuration)
        (self.folder / "gres.conf").write_text(GENERIC_RESOURCES)
        (self.folder / "cgroup.conf").write_text(CGROUP)
        srun = self.folder / "bin/srun"
        srun.write_text(SRUN.format(folder=self.folder, srun=shutil.which("srun")))
        srun.chmod(0o755)

    def _start(self):
        folder, socket_file = self.folder, f"{self.folder}/munge.socket"
        self.run("mungekey", "--create", f"--keyfile={folder}/munge.key")
        # --force: munged refuses folders that others may not enter, such as pytest's.
        self._daemon(
            *("munged", "--foreground", "--force", f"--socket={socket_file}"),
            *(f"--key-file={folder}/munge.key", f"--seed-file={folder}/munge.seed"),
            *(f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log"),
        )
        self._up("munged", lambda: self.run("munge", "-S", socket_file, "-n"))
        self._daemon("slurmctld", "-D")
        self._up("slurmctld", lambda: self.run("sinfo"))
        self._daemon("slurmd", "-D", "-N", "node1")
        self._up("slurmd", lambda: "idle" in self.run("sinfo", "-h", "-o", "%T"))

    def _daemon(self, name, *arguments):
        with open(self.folder / f"{name}.out", "wb") as output:
            daemon = subprocess.Popen(
                [*BOUNDED, name, *arguments],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.daemons.append(daemon)

    def _up(self, name, condition):
        """Wait until a daemon that was just started answers."""

        def holds():
            with contextlib.suppress(subprocess.SubprocessError):
                return condition()

        if not within(30, holds):
            printed = (self.folder / f"{name}.out").read_text(errors="replace")
            raise RuntimeError(f"{name} did not come up: {printed[-2000:]}")


def within(seconds, condition):
    """Wait until `condition()` holds; return whether it did in time."""
    end = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return holds


def megabytes(size):
    """Return a size such as 1500M or 2G in megabytes."""
    return int(float(size[:-1]) * {"M": 1, "G": 1024}[size[-1]])


def free_ports(count):
    """Return ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def missing():
    """Return why no cluster can be had here, or None."""
    if os.geteuid() != 0:
        return "the daemons of SLURM need root"
    for command in ("munged", "slurmctld", "slurmd", "sbatch"):
        if not shutil.which(command, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"):
            return f"no {command}: `make slurm` installs SLURM"
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        return "no snakemake-executor-plugin-slurm in this environment: `make env` installs it"
    try:
        socket.gethostbyname(socket.gethostname())
    except OSError:
        return f"{socket.gethostname()}, this machine's name, is not in /etc/hosts"
    return None
