"""A script runs under Snakemake and by hand, and a user error is one line without a traceback."""

import json
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import pytest

from trainorder.errors import DivergedError, UserError
from trainorder.numerics import memory_budget
from trainorder.workflow import job as job_module

SCRIPT = """
import sys
from pathlib import Path
from trainorder.errors import UserError
from trainorder.workflow.job import run


def main(job):
    print("working", file=sys.stderr)
    if job.params["mood"] == "user":
        raise UserError("corpus.files: no such\\n  file")
    if job.params["mood"] == "bug":
        raise ZeroDivisionError
    with job.meter.time("precompute"):
        job.meter.add("gradients", 3)
    job.meter.add("losses", 2)
    Path(job.output["result"]).write_text(Path(job.input["text"]).read_text().upper())


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
"""


@pytest.fixture
def by_hand(tmp_path):
    """Return a function that runs SCRIPT on a job file with some parts replaced."""
    (tmp_path / "step.py").write_text(textwrap.dedent(SCRIPT))
    (tmp_path / "in.txt").write_text("text")
    record = {
        "input": {"text": str(tmp_path / "in.txt")},
        "output": {"result": str(tmp_path / "out.txt"), "cost": str(tmp_path / "cost.json")},
        "params": {"mood": "fine"},
    }

    def by_hand(content=None, arguments=None, **changes):
        if content is None:
            content = json.dumps(record | changes)
        (tmp_path / "job.json").write_text(content)
        if arguments is None:
            arguments = [tmp_path / "job.json"]
        command = [sys.executable, tmp_path / "step.py", *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    return by_hand


@pytest.mark.parametrize("part", ["input", "params"])
def test_the_job_file_of_another_rule_raises_one_line(by_hand, part):
    done = by_hand(**{part: {}})
    assert done.returncode == 1
    assert "Traceback" not in done.stderr, "a part of the job was read as a plain mapping"
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert f"under `{part}`, so it is a job of another rule" in done.stderr


def test_a_job_runs_by_hand(by_hand, tmp_path):
    done = by_hand()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.txt").read_text() == "TEXT"
    cost = json.loads((tmp_path / "cost.json").read_text())
    assert cost["counts"] == {"other": {"losses": 2}, "precompute": {"gradients": 3}}


def test_a_user_error_is_one_line_with_status_1(by_hand, tmp_path):
    done = by_hand(params={"mood": "user"})
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == "error: corpus.files: no such file"
    assert not (tmp_path / "cost.json").exists()


def test_a_bug_keeps_its_traceback(by_hand):
    done = by_hand(params={"mood": "bug"})
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        '{"input": {}, "output": {}}',
        '{"input": [], "output": 1, "params": 0}',
    ],
)
def test_an_invalid_job_file_raises_one_line_with_its_name(by_hand, content):
    done = by_hand(content=content)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert "job.json" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["absent.json"]])
def test_a_wrong_command_line_raises_one_line(by_hand, arguments):
    done = by_hand(arguments=arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr


class Named(list):
    """Imitates Snakemake's lists of named files and parameters."""

    def __init__(self, **named):
        super().__init__(named.values())
        self.named = named

    def items(self):
        return self.named.items()


@pytest.fixture
def snakemake(tmp_path):
    """Return a stand-in for the object that Snakemake hands to a script."""
    return SimpleNamespace(
        input=Named(shards=Named(a="1.h5", b="2.h5"), text=str(tmp_path / "in.txt")),
        output=Named(result=str(tmp_path / "out.txt")),
        params=Named(rate=0.5, sizes=(1, 2), none=None, window={"units": 3}, on=True),
        log=[str(tmp_path / "logs" / "step.log")],
        config={"memory_gb": 4},
    )


def test_names_come_from_the_rule(snakemake):
    seen = []
    job_module.run(seen.append, snakemake)
    assert seen[0].input["shards"] == ["1.h5", "2.h5"]
    assert seen[0].params == {
        "rate": 0.5,
        "sizes": [1, 2],
        "none": None,
        "window": {"units": 3},
        "on": True,
    }


def test_what_is_printed_goes_to_the_log(snakemake, tmp_path, capfd):
    def main(job):
        print("progress")
        print("warning", file=sys.stderr)

    job_module.run(main, snakemake)
    assert (tmp_path / "logs" / "step.log").read_text() == "progress\nwarning\n"
    assert capfd.readouterr().out == ""


def test_a_job_under_snakemake_writes_the_file_that_repeats_it(snakemake, tmp_path, monkeypatch):
    jobs = []
    job_module.run(jobs.append, snakemake)
    monkeypatch.setattr(sys, "argv", ["step.py", str(tmp_path / "logs" / "step.json")])
    job_module.run(jobs.append)
    first, again = jobs
    assert (again.input, again.output, again.params) == (first.input, first.output, first.params)


def test_the_memory_limit_is_the_same_by_hand_and_under_snakemake(snakemake, tmp_path, monkeypatch):
    monkeypatch.setattr(memory_budget._Memory, "most", memory_budget._Memory.most)
    monkeypatch.setattr(memory_budget._Memory, "left", memory_budget._Memory.left)
    snakemake.config["memory_gb"] = 0.25
    job_module.run(lambda job: None, snakemake)
    assert memory_budget._Memory.most == 0.25e9
    memory_budget.hold_at_most(3)
    monkeypatch.setattr(sys, "argv", ["step.py", str(tmp_path / "logs" / "step.json")])
    job_module.run(lambda job: None)
    assert memory_budget._Memory.most == 0.25e9
    assert memory_budget._Memory.left <= 0.25e9


@pytest.mark.parametrize("memory_gb", ["4", -1, None, float("nan"), float("inf")])
def test_an_invalid_memory_raises_one_line(by_hand, memory_gb):
    done = by_hand(memory_gb=memory_gb)
    assert done.returncode == 1
    assert done.stderr.endswith("job.json: memory_gb: expected a number of at least 0\n")
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_user_error_is_in_the_log_and_on_the_terminal(snakemake, tmp_path):
    def main(job):
        raise UserError("no such file")

    with pytest.raises(SystemExit) as caught:
        job_module.run(main, snakemake)
    assert caught.value.code == "error: no such file", "the exit status is not 1"
    assert (tmp_path / "logs" / "step.log").read_text() == "error: no such file\n"


def test_a_training_that_diverged_leaves_a_marker_until_the_job_runs_again(snakemake, tmp_path):
    def main(job):
        raise error

    marker = job_module.divergence_file(tmp_path / "logs" / "step.log")
    error = DivergedError("warm-up: step 3: the training loss is nan")
    with pytest.raises(SystemExit):
        job_module.run(main, snakemake)
    assert marker.read_text() == "warm-up: step 3: the training loss is nan\n"
    error = UserError("no such file; lower optimizer.learning_rate")
    with pytest.raises(SystemExit):
        job_module.run(main, snakemake)
    assert not marker.exists()


OUT_OF_MEMORY = {
    "Python": MemoryError(),
    "torch": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    "HDF5": OSError("Can't read data (memory allocation failed for chunk)"),
}


@pytest.mark.parametrize("who", OUT_OF_MEMORY)
def test_too_little_memory_raises_one_line_with_the_remedy(snakemake, tmp_path, who):
    def main(job):
        raise OUT_OF_MEMORY[who]

    with pytest.raises(SystemExit, match=r"^error: out of memory \(.+\); run fewer jobs"):
        job_module.run(main, snakemake)
    assert (tmp_path / "logs" / "step.log").read_text().startswith("error: out of memory")


@pytest.mark.parametrize(
    "words",
    [
        "CUDA out of memory. Tried to allocate 20.00 GiB.\nGPU 0 has a total capacity of 79 GiB",
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_too_little_gpu_memory_raises_one_line_with_another_remedy(snakemake, words):
    def main(job):
        raise RuntimeError(words)

    with pytest.raises(SystemExit, match=r"^error: out of GPU memory \(CUDA") as caught:
        job_module.run(main, snakemake)
    assert "window.unit_size" in caught.value.code
    assert "mem_mb" not in caught.value.code, "more memory of the host does not help"
    assert "\n" not in caught.value.code


def test_a_full_disk_for_the_log_does_not_stop_the_job(snakemake, monkeypatch, capfd):
    snakemake.log = ["/dev/full"]
    monkeypatch.setattr(job_module, "write_text", lambda *_: None)
    done = []

    def main(job):
        for _ in range(3):
            print("progress")
            print("warning", file=sys.stderr)
        done.append(job)

    job_module.run(main, snakemake)
    assert done
    assert capfd.readouterr().err == ""


def test_a_log_that_cannot_be_opened_raises_one_line(snakemake, tmp_path):
    (tmp_path / "logs" / "step.log").mkdir(parents=True)
    with pytest.raises(SystemExit, match=r"^error: .*step.log: cannot be written: Is a directory"):
        job_module.run(lambda job: None, snakemake)
