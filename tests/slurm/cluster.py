"""A one-node SLURM cluster on loopback, all files in one folder. Needs root and `make slurm`."""

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

# Daemons end when the tests end, and after one hour at most.
BOUNDED = ("setpriv", "--pdeathsig", "TERM", "timeout", "--kill-after=5", "3600")
MEMORY_MB = 100_000  # may exceed the real memory: jobs request more than the smoke study uses

# This needs neither systemd nor cgroups. SLURM checks the memory of each job every second.
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
GENERIC_RESOURCES = "NodeName=node1 Name=gpu File=/dev/null\n"  # a GPU in name only
# The node daemon always loads this plugin; v1 needs nothing from the machine.
CGROUP = "CgroupPlugin=cgroup/v1\n"
# Jobs lose SLURM_CONF before they call srun, so their PATH must lead to this cluster.
SRUN = '#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {srun} "$@"\n'


class Job(NamedTuple):
    """A job in the queue; `comment` is the name that Snakemake gave it."""

    id: int
    state: str
    comment: str
    partition: str
    memory_mb: int

    @property
    def rule(self):
        """Return the rule of the job."""
        return self.comment.removeprefix("rule_").split("_wildcards_")[0]


class Cluster:
    """The daemons of a cluster, which run inside a `with` block, and queries to them."""

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
        """Return an environment in which SLURM commands talk to this cluster."""
        path = f"{self.folder}/bin:{given['PATH']}:/usr/sbin:/sbin"
        return {**given, "SLURM_CONF": f"{self.folder}/slurm.conf", "PATH": path}

    def run(self, *command):
        """Return the output of a SLURM command; raise CalledProcessError if it fails."""
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
        """Return all jobs up to now, oldest first."""
        printed = self.run("squeue", "-h", "-t", "all", "-S", "i", "-o", "%i|%T|%k|%P|%m")
        jobs = [line.split("|") for line in printed.splitlines()]
        return [Job(int(id), *other, megabytes(memory)) for id, *other, memory in jobs]

    def asks_for_gpu(self, job):
        """Return whether a job requested a GPU."""
        shown = self.run("scontrol", "show", "job", str(job.id))
        return re.search(r"^ *TresPer\w+=gres[:/]gpu[:=]1$", shown, re.M) is not None

    def killed_for_memory(self, job):
        """Return whether the node killed a job for using more memory than it requested."""
        log = (self.folder / "slurmd.log").read_text()
        return f"StepId={job.id}.batch exceeded memory limit" in log

    def cancel(self, which):
        """Cancel the jobs that a scancel argument selects; wait until they have ended."""
        self.run("scancel", which)
        assert within(30, lambda: "COMPLETING" not in self.run("squeue", "-h", "-o", "%T"))

    def processes(self):
        """Return the processes whose environment names this cluster: its daemons and its jobs."""
        mark, processes = f"{self.folder}/".encode(), []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):  # the process has ended
                if mark in path.read_bytes():
                    processes.append(int(path.parent.name))
        return processes

    def lose_node(self):
        """Kill the node daemon and all jobs on the node by process id.

        Then mark the node as down; the controller would notice only after SlurmdTimeout.
        """
        victims = []
        for process in self.processes():
            with contextlib.suppress(OSError):  # the process has ended
                name = Path(f"/proc/{process}/comm").read_text().strip()
                in_job = b"\0SLURM_JOB_ID=" in Path(f"/proc/{process}/environ").read_bytes()
                if in_job or name in ("slurmd", "slurmstepd"):
                    victims.append((name != "slurmd", process))
        for _, process in sorted(victims):  # the daemon first, so that it reports nothing
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.run("scontrol", "update", "nodename=node1", "state=down", "reason=lost")

    def restore_node(self):
        """Start the node daemon again and let the controller use the node."""
        self._daemon("slurmd", "-D", "-N", "node1")
        self.run("scontrol", "update", "nodename=node1", "state=resume")
        self._up("slurmd", lambda: "*" not in self.run("sinfo", "-h", "-o", "%T"))

    def stop(self):
        """End the jobs, then the daemons, then kill by id what is still running."""
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
        # --force: munged rejects folders that other users cannot enter, such as those of pytest.
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
        """Wait until a daemon answers."""

        def holds():
            with contextlib.suppress(subprocess.SubprocessError):
                return condition()

        if not within(30, holds):
            printed = (self.folder / f"{name}.out").read_text(errors="replace")
            raise RuntimeError(f"{name} did not come up: {printed[-2000:]}")


def within(seconds, condition):
    """Wait until `condition()` is true; return whether that happened in time."""
    end = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return holds


def megabytes(size):
    """Return a size such as 1500M or 2G in megabytes."""
    return int(float(size[:-1]) * {"M": 1, "G": 1024}[size[-1]])


def free_ports(count):
    """Return free ports on loopback."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def missing():
    """Return why a cluster cannot run here, or None."""
    if os.geteuid() != 0:
        return "the SLURM daemons need root"
    for command in ("munged", "slurmctld", "slurmd", "sbatch"):
        if not shutil.which(command, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"):
            return f"command {command} not found; run `make slurm` to install SLURM"
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        return "snakemake-executor-plugin-slurm is not installed; run `make env`"
    try:
        socket.gethostbyname(socket.gethostname())
    except OSError:
        return f"host name {socket.gethostname()} is not in /etc/hosts; add it"
    return None
